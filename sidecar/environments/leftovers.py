"""Ends what a killed builder left running: an installer without its builder would write into the next one's folder."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import List, Tuple

from sidecar.contract import settings

# A killed process is gone in milliseconds, unless its disk hangs; then the next build cannot work either.
_TIMEOUT_S = 10.0
_PAUSE_S = 0.005
# A process between two programs (in the middle of exec) shows neither arguments nor environment, for microseconds, or
# for as long as a busy machine does not let it go on: it is looked at again.
_EXEC_TIMEOUT_S = 1.0
_ZOMBIE_STATES = frozenset("ZX")
_KERNEL_THREAD = 0x00200000  # PF_KTHREAD in include/linux/sched.h


def mark(folder: Path) -> dict[str, str]:
    """The variable that every process building `folder` carries."""
    return {settings.MARK_BUILD: os.fspath(folder)}


def end(folder: Path) -> int:
    """Kills whoever still builds `folder`, and returns how many there were. Only for the holder of the lock.

    Found by their mark, never by name. Without /proc (macOS) none are found.
    """
    ended = 0
    now = time.monotonic()
    deadline, exec_deadline = now + _TIMEOUT_S, now + _EXEC_TIMEOUT_S
    while time.monotonic() < deadline:
        pids, is_certain = _builders(folder)
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
                ended += 1
            except ProcessLookupError:
                continue
        if not pids and (is_certain or time.monotonic() >= exec_deadline):
            break
        time.sleep(_PAUSE_S)
    return ended


def _builders(folder: Path) -> Tuple[List[int], bool]:
    """The processes that carry the mark, and whether every process could be told from them."""
    if not os.path.isdir("/proc/self"):
        return [], True
    wanted = f"{settings.MARK_BUILD}={os.fspath(folder)}".encode("utf-8", "surrogateescape")
    found, is_certain = [], True
    for pid in (int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()):
        variables = _read(pid, "environ")
        if wanted in variables.split(b"\0"):
            found.append(pid)
        elif not variables and _is_between_programs(pid):
            is_certain = False
    return found, is_certain


def _is_between_programs(pid: int) -> bool:
    if _read(pid, "cmdline"):
        return False
    fields = _read(pid, "stat").rpartition(b")")[2].split()
    # proc(5): state and flags are the 3rd and the 9th; the name before them ends with the last bracket.
    return len(fields) > 6 and fields[0].decode() not in _ZOMBIE_STATES and not int(fields[6]) & _KERNEL_THREAD


def _read(pid: int, name: str) -> bytes:
    """A file about a process; empty for those that are gone, dead, or another's."""
    try:
        with open(f"/proc/{pid}/{name}", "rb") as stream:
            return stream.read()
    except OSError:
        return b""
