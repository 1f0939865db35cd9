"""Ends what a killed builder left running: an installer without its builder would write into the next one's folder."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import List

from sidecar.contract import settings

# A killed process is gone in milliseconds, unless its disk hangs; then the next build cannot work either.
_TIMEOUT_S = 10.0
_PAUSE_S = 0.005


def mark(folder: Path) -> dict[str, str]:
    """The variable that every process building `folder` carries."""
    return {settings.MARK_BUILD: os.fspath(folder)}


def end(folder: Path) -> int:
    """Kills whoever still builds `folder`, and returns how many there were. Only for the holder of the lock.

    Found by their mark, never by name. Without /proc (macOS) none are found.
    """
    ended = 0
    deadline = time.monotonic() + _TIMEOUT_S
    while (pids := _builders(folder)) and time.monotonic() < deadline:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
                ended += 1
            except ProcessLookupError:
                continue
        time.sleep(_PAUSE_S)
    return ended


def _builders(folder: Path) -> List[int]:
    if not os.path.isdir("/proc/self"):
        return []
    wanted = f"{settings.MARK_BUILD}={os.fspath(folder)}".encode("utf-8", "surrogateescape")
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and wanted in _variables(pid)]


def _variables(pid: int) -> List[bytes]:
    """The environment of a process; empty for those that are gone, dead, or another's."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as stream:
            return stream.read().split(b"\0")
    except OSError:
        return []
