"""Counts what a run left on a node once its processes are gone: processes, shared memory, listening ports."""

from __future__ import annotations

import time
from typing import Any, Dict, Iterable, List, Sequence, Set

from sidecar import ports, processes, shared_memory
from sidecar.contract import events


class Belongings:
    """What the run's processes on a node were seen to use while they lived."""

    def __init__(self, *, foreign: Iterable[str], since_s: float = 0.0) -> None:
        """`foreign` are names in /dev/shm from before the run, `since_s` is its begin (Unix time).

        What is older is not the run's, used or not.
        """
        self.since_s = since_s
        self.foreign = frozenset(foreign)
        self.segments: Set[str] = set()
        self.pids: Set[int] = set()

    def look(self, pids: Iterable[int]) -> None:
        """Notes the shared memory that `pids` use now."""
        found = list(pids)
        self.pids.update(found)
        self.segments |= shared_memory.used_by(found) - self.foreign

    def to_record(self) -> Dict[str, Any]:
        """As the supervisor hands it to the release step."""
        return {
            "segments": sorted(self.segments),
            "pids": sorted(self.pids),
            "foreign": sorted(self.foreign),
        }


def take(
    mark: processes.Mark, *, supervisor: int, spared: Sequence[int], belongings: Belongings, port_numbers: Sequence[int]
) -> Dict[str, Any]:
    """Removes what may be removed, and says what was removed and what is left: `left` is the number that must be 0.

    Keys: at, processes [{pid, command}], shared_memory [names], ports [numbers], removed [names], left.
    """
    table = processes.read_table()
    remaining = processes.of_run(mark, supervisor=supervisor, spared=spared)
    still_used = shared_memory.used_by(pid for pid in table if pid not in remaining)
    belongings.segments |= shared_memory.left_by_mpi(belongings.foreign)
    removed = shared_memory.remove_left(belongings.segments, still_used)
    removed += shared_memory.remove_system_v(belongings.pids, since_s=belongings.since_s)
    segments = _left_segments(belongings, still_used)
    listening = sorted(ports.listening(port_numbers))
    return {
        "at": events.utc_text(time.time_ns()),
        "processes": [{"pid": pid, "command": processes.command_line(pid)} for pid in sorted(remaining)],
        "shared_memory": segments,
        "ports": listening,
        "removed": removed,
        "left": len(remaining) + len(segments) + len(listening),
    }


def _left_segments(belongings: Belongings, still_used: Set[str]) -> List[str]:
    posix = [
        str(shared_memory.POSIX_FOLDER / name)
        for name in sorted(belongings.segments - still_used)
        if (shared_memory.POSIX_FOLDER / name).exists()
    ]
    found = shared_memory.system_v_segments(belongings.pids, since_s=belongings.since_s)
    system_v = [f"sysv:{segment}" for segment in found]
    return posix + system_v
