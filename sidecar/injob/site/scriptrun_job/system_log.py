"""Writes the log of the in-job API, in the format of Python's logging, without importing it.

One line is `2022-04-20 12:27:52,149|azureml.run|DEBUG|message`. The file appears with its first line.
"""

from __future__ import annotations

import os
import time

from scriptrun_job import names


def write(name: str, level: str, message: str) -> None:
    """Appends one line to this process's system log; outside a job, or where the disk takes no more, does nothing."""
    path = _path()
    if not path:
        return
    now_ns = time.time_ns()
    clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now_ns // 1_000_000_000))
    line = f"{clock},{now_ns // 1_000_000 % 1000:03d}|{name}|{level}|{message}\n"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, line.encode("utf-8", "backslashreplace"))
        finally:
            os.close(descriptor)
    except OSError:  # A log about the job must not end the job.
        pass


def _path() -> str:
    """The file of the process that the wrapper started; a child process of the script writes into the same one."""
    return os.environ.get(names.SYSTEM_LOG_FILE, "")
