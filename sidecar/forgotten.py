"""A run whose folder somebody removed: no order will ever come, so nothing of it may go on."""

from __future__ import annotations

import time
from typing import Callable, Optional

from sidecar.contract.layout import NodeLayout, RunLayout

# A folder that is away for less may be on its way back: a file system that is mounted again.
_GONE_S = 5.0


class Forgotten:
    """Whether the run was removed, by the node's folder, or by the run's own."""

    def __init__(
        self, layout: NodeLayout, run: RunLayout, *, is_remote: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._layout = layout
        # Parts of the folder may come back, written by whoever has not noticed; the record does not.
        self._sign = run.root if is_remote else run.record
        self._clock = clock
        self._gone_since: Optional[float] = None

    def is_certain(self) -> bool:
        """Whether nobody will ask for this run any more; to be asked again and again."""
        if not self._layout.plan.exists():
            return True
        if self._sign.exists():
            self._gone_since = None
            return False
        now = self._clock()
        if self._gone_since is None:
            self._gone_since = now
        return now - self._gone_since >= _GONE_S

    def remove(self) -> None:
        """Takes away what is left of the run on this node."""
        import shutil  # Seldom needed, by a process that lives as long as the run.

        shutil.rmtree(self._layout.root, ignore_errors=True)
