"""Keeps a steward running beside an agent, where the node's containers are made on the node itself."""

from __future__ import annotations

import time
from typing import Optional

from sidecar import child
from sidecar.contract import lock
from sidecar.contract.layout import NodeLayout
from sidecar.contract.orders import NodePlan
from sidecar.supervisor_start import STEWARD, start_part

# One that dies at once is not helped by another start at once.
_RESTART_PAUSE_S = 2.0


class StewardKeeper:
    """Starts the node's steward, again where it was killed."""

    def __init__(self, layout: NodeLayout) -> None:
        self._layout = layout
        self._pid: Optional[int] = None
        self._next_start = 0.0

    def is_there(self) -> bool:
        """Whether one lives, or is about to take its lock."""
        is_starting = self._pid is not None and not child.has_ended(self._pid)
        return is_starting or lock.holder(self._layout.steward_lock) is not None

    def keep(self, plan: Optional[NodePlan]) -> None:
        """Starts one where the plan wants it and there is none."""
        if plan is None or not plan.has_steward or time.monotonic() < self._next_start or self.is_there():
            return
        self._next_start = time.monotonic() + _RESTART_PAUSE_S
        process = start_part(STEWARD, plan, self._layout)
        self._pid, process.returncode = process.pid, 0  # Reaped by its pid, not by Popen.
