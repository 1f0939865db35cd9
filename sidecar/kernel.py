"""The few calls of Linux that Python has no name for; each returns False where the kernel or the system has none."""

from __future__ import annotations

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36


def _prctl(option: int, value: object) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None, use_errno=True)
    return bool(library.prctl(option, value, 0, 0, 0) == 0)


def become_subreaper() -> bool:
    """Orphans among this process's descendants become its children, daemons that called setsid included."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1))


def die_with_parent(signal_number: int) -> bool:
    """The kernel sends `signal_number` to this process when its parent dies."""
    return _prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal_number))


def rename_process(title: str) -> None:
    """Makes `ps` show `title` for this process, as far as the place of its arguments reaches.

    A forked child shows its parent's command line; a person who looks for the supervisor must find one, not six.
    """
    _prctl(_PR_SET_NAME, ctypes.c_char_p(title.rsplit(" ", 1)[-1].encode()[:15]))
    try:
        with open("/proc/self/stat", "rb") as stream:
            content = stream.read()
        # proc(5): fields 48 and 49 are arg_start and arg_end; the list below starts at field 3.
        fields = content[content.rfind(b")") + 2 :].split()
        start, end = int(fields[45]), int(fields[46])
    except (OSError, IndexError, ValueError):
        return
    room = end - start
    if room > 0 and os.getpid() > 0:
        ctypes.memset(start, 0, room)
        ctypes.memmove(start, title.encode("utf-8", "replace")[: room - 1], min(len(title.encode()), room - 1))
