"""Ends every process of a run on one node: TERM, grace, KILL until a scan finds nothing.

idle --begin--> asking (TERM sent) --grace over or user processes gone--> killing (KILL each tick) --none left--> done
"""

from __future__ import annotations

import enum
import os
import signal
import time
from typing import Callable, Iterable, Set

from sidecar import processes

# Once the user's processes are gone, the launcher and its helpers get this long to end by themselves.
_HELPERS_GRACE_S = 0.5
# Beyond the grace, for a step that removes what it has half made.
_CLEANING_S = 10.0
# What was killed is gone in a millisecond or two.
_KILL_PAUSE_S = 0.03


class Stage(enum.Enum):
    """How far a stop has come."""

    IDLE = "idle"
    ASKING = "asking"
    KILLING = "killing"
    DONE = "done"


class Stop:
    """One stop of one run on one node; call `advance` at least every 50 ms while it is under way."""

    def __init__(self, mark: processes.Mark, *, supervisor: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._mark = mark
        self._supervisor = supervisor
        self._clock = clock
        self._kill_at = 0.0
        self.stage = Stage.IDLE
        self.reason = ""
        self.killed_count = 0

    @property
    def is_under_way(self) -> bool:
        """Whether signals have been sent and something may still be there."""
        return self.stage in (Stage.ASKING, Stage.KILLING)

    def begin(self, reason: str, *, grace_s: float, helpers: Set[int], spared: Iterable[int]) -> None:
        """Asks every process but `helpers` (wrappers, launchers) to end; they follow when their charges are gone.

        A second call only shortens the grace: stopping twice is stopping.
        """
        deadline = self._clock() + grace_s
        if self.is_under_way:
            self._kill_at = min(self._kill_at, deadline)
            return
        self.stage = Stage.ASKING
        self.reason = reason
        self._kill_at = deadline
        found = processes.of_run(self._mark, supervisor=self._supervisor, spared=spared)
        asked = set(found) - helpers
        processes.send(asked, signal.SIGTERM)
        # A stopped process takes TERM only once it goes on.
        processes.send((pid for pid in asked if found[pid].state == "T"), signal.SIGCONT)

    def advance(self, *, helpers: Set[int], spared: Iterable[int], cleaning: Iterable[int] = ()) -> None:
        """Takes the next step if its time has come.

        `spared` are not looked at; `cleaning` are waited for, and killed only a while after the others.
        """
        if not self.is_under_way:
            return
        kept = list(spared)
        found = processes.of_run(self._mark, supervisor=self._supervisor, spared=kept)
        if not found:
            self.stage = Stage.DONE
        elif self.stage is Stage.KILLING or self._clock() >= self._kill_at:
            self.stage = Stage.KILLING
            if self._clock() < self._kill_at + _CLEANING_S:
                kept += cleaning
            self.killed_count += processes.kill_all(self._mark, supervisor=self._supervisor, spared=kept)
        elif set(found) <= helpers:
            self._kill_at = min(self._kill_at, self._clock() + _HELPERS_GRACE_S)


def leave_nothing(mark: processes.Mark, *, limit_s: float = 10.0) -> None:
    """Kills everything of the run but this process, its supervisor; gives up on what the kernel does not let go."""
    deadline = time.monotonic() + limit_s
    while processes.kill_all(mark, supervisor=os.getpid()) and time.monotonic() < deadline:
        time.sleep(_KILL_PAUSE_S)
