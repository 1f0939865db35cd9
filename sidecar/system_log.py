"""Lines of the finer logs, in the format that v1's SDK logger had: `2022-04-20 12:27:52,149|name|INFO|message`."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from sidecar.contract import publish


def write(path: Path, name: str, message: str, *, level: str = "INFO") -> None:
    """Appends one line; a disk that takes no more loses the line and nothing else."""
    now_ns = time.time_ns()
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now_ns // 10**9)) + f",{now_ns // 10**6 % 1000:03d}"
    line = f"{stamp}|{name}|{level}|{message}".replace("\n", "\\n")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        publish.append_line(path, line.encode("utf-8", "backslashreplace"))
