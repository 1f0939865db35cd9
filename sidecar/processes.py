"""Finds every process of a run on this node and ends it: by descent, and by a mark in its environment.

Descent catches what called setsid or forked twice (the supervisor is a subreaper); the mark catches what was left by
a supervisor that was killed. Never by name: that is how strangers get killed (peers.md, pain 8).
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Set

from sidecar.contract import identity, settings


class Mark(NamedTuple):
    """What stands in the environment of every process of one run on one node."""

    run_id: str
    node_id: str

    def is_on(self, pid: int) -> bool:
        """Whether `pid` carries the mark; False for processes that may not be read."""
        try:
            with open(f"/proc/{pid}/environ", "rb") as stream:
                variables = stream.read().split(b"\0")
        except OSError:
            return False
        return (
            f"{settings.MARK_RUN}={self.run_id}".encode() in variables
            and f"{settings.MARK_NODE}={self.node_id}".encode() in variables
        )


def read_table() -> Dict[int, identity.ProcessStat]:
    """Every process of the machine, by pid; zombies and the dead are left out."""
    table = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            stat = identity.read_stat(int(name))
            if stat is not None and stat.state not in ("Z", "X"):
                table[stat.pid] = stat
    return table


def descendants(root: int, table: Mapping[int, identity.ProcessStat]) -> Set[int]:
    """The pids in `table` that descend from `root`; `root` itself is not among them."""
    children: Dict[int, List[int]] = {}
    for stat in table.values():
        children.setdefault(stat.parent_pid, []).append(stat.pid)
    found: Set[int] = set()
    waiting = [root]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found


def of_run(mark: Mark, *, supervisor: Optional[int], spared: Iterable[int] = ()) -> Dict[int, identity.ProcessStat]:
    """Every live process of the run on this node, by pid.

    `spared` are pids that are kept, with all their descendants: a supervisor's own steps.
    """
    table = read_table()
    found = descendants(supervisor, table) if supervisor is not None else set()
    for pid in table:
        if pid not in found and pid not in (supervisor, os.getpid()) and mark.is_on(pid):
            found.add(pid)
            found |= descendants(pid, table)
    for pid in spared:
        found.discard(pid)
        found -= descendants(pid, table)
    found.discard(os.getpid())
    return {pid: table[pid] for pid in found if pid in table}


def send(pids: Iterable[int], signal_number: int) -> int:
    """Signals each pid and says how many took it; one that ended meanwhile is fine."""
    count = 0
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal_number)
            count += 1
    return count


def kill_all(mark: Mark, *, supervisor: Optional[int], spared: Iterable[int] = ()) -> int:
    """One round of SIGKILL over everything that is left; says how many were there.

    All are stopped before any is killed, so that none can fork a new one out of the count.
    """
    kept = list(spared)
    found = of_run(mark, supervisor=supervisor, spared=kept)
    send(found, signal.SIGSTOP)
    newborn = of_run(mark, supervisor=supervisor, spared=kept)
    send(set(found) | set(newborn), signal.SIGKILL)
    return len(set(found) | set(newborn))


def command_line(pid: int) -> str:
    """The command of `pid` as a person would type it, cut to 200 characters; empty where it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as stream:
            content = stream.read(4096)
    except OSError:
        return ""
    return content.replace(b"\0", b" ").decode("utf-8", "replace").strip()[:200]
