"""The few calls of Linux that Python has no name for; each returns False where the kernel or the system has none."""

from __future__ import annotations

import contextlib
import os
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, value: int) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    import ctypes  # Some milliseconds, which not every part of the sidecar needs to spend.

    library = ctypes.CDLL(None, use_errno=True)
    return bool(library.prctl(option, ctypes.c_ulong(value), 0, 0, 0) == 0)


def become_subreaper() -> bool:
    """Orphans among this process's descendants become its children, daemons that called setsid included."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(signal_number: int) -> bool:
    """The kernel sends `signal_number` to this process when its parent dies."""
    return _prctl(_PR_SET_PDEATHSIG, signal_number)


def rename_process(title: str) -> None:
    """Makes `ps` show `title` for this process, as far as the place of its arguments reaches.

    A forked child shows its parent's command line; a person who looks for the supervisor must find one, not six.
    """
    text = title.encode("utf-8", "replace").replace(b" ", b"\0")
    with contextlib.suppress(OSError), open("/proc/self/comm", "wb", buffering=0) as stream:
        stream.write(text.rpartition(b"\0")[2][:15])
    with contextlib.suppress(OSError, IndexError, ValueError):
        with open("/proc/self/stat", "rb") as stream:
            content = stream.read()
        # proc(5): fields 48 and 49 are arg_start and arg_end; the list below starts at field 3.
        fields = content[content.rfind(b")") + 2 :].split()
        start, end = int(fields[45]), int(fields[46])
        if end > start:
            descriptor = os.open("/proc/self/mem", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.pwrite(descriptor, text[: end - start - 1].ljust(end - start, b"\0"), start)
            finally:
                os.close(descriptor)
