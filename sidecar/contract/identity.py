"""Says which process is which, so that a reused pid is never taken for the process it replaced."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, Mapping, NamedTuple, Optional


class ProcessIdentity(NamedTuple):
    """A process for all time: boot, pid, and start in clock ticks since boot (proc(5), `stat` field 22)."""

    boot_id: str
    pid: int
    start_ticks: int

    def to_record(self) -> Dict[str, Any]:
        """As it stands in a lock file."""
        return self._asdict()


class ProcessStat(NamedTuple):
    """The fields of `/proc/<pid>/stat` that we use."""

    pid: int
    state: str
    parent_pid: int
    start_ticks: int
    cpu_ticks: int


def read_boot_id() -> str:
    """The kernel's id of this boot; empty where there is no /proc."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def read_stat(pid: int) -> Optional[ProcessStat]:
    """The state of `pid` now; None where there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            content = stream.read()
    except (OSError, ValueError):
        return None
    # The command's name may hold spaces and brackets: fields count from the last bracket.
    fields = content[content.rfind(b")") + 2 :].split()
    return ProcessStat(
        pid, fields[0].decode("ascii"), int(fields[1]), int(fields[19]), int(fields[11]) + int(fields[12])
    )


def identify(pid: int) -> Optional[ProcessIdentity]:
    """The identity of the process that has `pid` now."""
    stat = read_stat(pid)
    return None if stat is None else ProcessIdentity(read_boot_id(), pid, stat.start_ticks)


def identity_from(record: Optional[Mapping[str, Any]]) -> Optional[ProcessIdentity]:
    """The identity in a record; None where the record has none."""
    try:
        return (
            ProcessIdentity(str(record["boot_id"]), int(record["pid"]), int(record["start_ticks"])) if record else None
        )
    except (KeyError, TypeError, ValueError):
        return None


def is_alive(identity: ProcessIdentity) -> bool:
    """Whether that very process still runs. A zombie is dead."""
    stat = read_stat(identity.pid)
    return (
        stat is not None
        and stat.state not in ("Z", "X")
        and stat.start_ticks == identity.start_ticks
        and read_boot_id() == identity.boot_id
    )


def own_identity() -> ProcessIdentity:
    """The identity of the calling process."""
    identity = identify(os.getpid())
    assert identity is not None, "a process can read its own /proc entry"
    return identity
