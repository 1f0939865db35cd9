"""Tells a person who waits for a run's end how far the sealing of its files is."""

from __future__ import annotations

import contextlib
import threading

from sidecar.contract import publish
from sidecar.contract.layout import RunLayout

_GIB = 1024**3


class Progress:
    """How many bytes are hashed; `add` may be called from any thread."""

    def __init__(self, layout: RunLayout, *, total_bytes: int) -> None:
        self._path = layout.sealing
        self._total = total_bytes
        self._done = 0
        self._guard = threading.Lock()

    def add(self, count: int) -> None:
        """So many more."""
        with self._guard:
            self._done += count

    def tell(self) -> None:
        """Writes it where `read_progress` finds it; where there is no room, nobody is told."""
        with contextlib.suppress(OSError):
            publish.write_whole(self._path, publish.to_json({"done_bytes": self._done, "total_bytes": self._total}))

    def end(self) -> None:
        """There is nothing more to tell."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def read_progress(layout: RunLayout) -> str | None:
    """A sentence for `status` while files are being hashed; None where nothing is to be told."""
    try:
        found = publish.read_record(layout.sealing)
    except (OSError, ValueError):
        return None
    if found is None:
        return None
    done, total = found["done_bytes"] / _GIB, found["total_bytes"] / _GIB
    return f"sealing the run's files: {done:.1f} of {total:.1f} GiB are hashed"
