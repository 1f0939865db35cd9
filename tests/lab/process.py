"""A process that the lab started, known by its pid and its start time, so that a stranger is never killed."""

from __future__ import annotations

import os
import select
import signal
from pathlib import Path
from typing import NamedTuple


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; the name before them may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()


class Process(NamedTuple):
    """A pid and the clock tick at which it began."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has this pid now; raises FileNotFoundError where there is none."""
        return cls(pid, int(_stat(pid)[19]))

    @property
    def is_alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        try:
            fields = _stat(self.pid)
        except (FileNotFoundError, ProcessLookupError):
            return False
        return int(fields[19]) == self.started and fields[0] not in "ZX"

    def end(self, *, limit_s: float = 10.0) -> None:
        """Kills it and waits; where it is the first of a pid namespace, all others in there have ended too then."""
        try:
            handle = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return
        try:
            if self.is_alive:  # Looked at after opening: the handle cannot change hands any more.
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                if not select.select([handle], [], [], limit_s)[0]:
                    raise TimeoutError(f"process {self.pid} still lives {limit_s} s after it was killed")
        finally:
            os.close(handle)


def first_child(pid: int) -> int:
    """The only child of `pid`: what `unshare --fork` started."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
