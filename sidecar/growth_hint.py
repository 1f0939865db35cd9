"""Says that a quiet file has begun to grow, so that whoever looks only once a second looks at once. A hint, no more.

Uses watchdog where it is installed, and only while all is quiet: it handles every single event, which a flood of output
would turn into work beside the job. Events it loses (measured: it does, silently) cost at most the second.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, Iterable, Optional, Set

from sidecar import extras

_EVENTS = frozenset({"modified", "created", "moved"})


class GrowthHint:
    """Wakes a `select` on `descriptor` when one of the watched files changes. Create, `arm`, `disarm`, `close`."""

    def __init__(self) -> None:
        self.descriptor, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._observer: Optional[Any] = None
        self._paths: Set[str] = set()
        self._is_usable = True
        self.has_threads = False

    @property
    def is_armed(self) -> bool:
        """Whether a change would be told."""
        return self._observer is not None

    def arm(self, paths: Iterable[Path]) -> None:
        """Watches the folders of `paths` for changes of just these files; without watchdog it does nothing."""
        self._paths = {str(path) for path in paths}
        if not self._is_usable or self.is_armed or not self._paths:
            return
        try:
            self.has_threads = True  # For good: a watch that was stopped ends its thread when it likes.
            self._observer = self._observe()
        except (ImportError, OSError):
            self._is_usable = False  # No watchdog, or no inotify watches left: polling alone is enough.

    def _observe(self) -> Any:
        extras.make_importable()
        from watchdog.observers import Observer

        observer = Observer()
        for folder in {os.path.dirname(path) for path in self._paths}:
            if os.path.isdir(folder):
                observer.schedule(self, folder)  # type: ignore[arg-type]  # it asks for no more than dispatch()
        observer.start()
        return observer

    def dispatch(self, event: Any) -> None:
        """Called by watchdog, in its own thread, for every event in a watched folder."""
        if event.event_type in _EVENTS and event.src_path in self._paths:
            with contextlib.suppress(OSError):
                os.write(self._wake, b"!")

    def disarm(self) -> None:
        """Stops watching; the folders are polled from now on."""
        if self._observer is not None:
            self._observer.stop()
            self._observer = None
