"""Takes a Python traceback, and the last lines, out of the end of a log, whatever bytes surround them."""

from __future__ import annotations

import os
import re
from pathlib import Path

# Enough for a deep traceback behind some other processes' noise; little enough to read at once.
_TAIL_BYTES = 256 * 1024
_HEAD = "Traceback (most recent call last):"
_LINKS = (
    "During handling of the above exception, another exception occurred:",
    "The above exception was the direct cause of the following exception:",
)
_EXCEPTION = re.compile(r"^(?P<type>[A-Za-z_][\w.]*)(?:: (?P<message>.*))?$")
_LONGEST_TRACEBACK_LINES = 200
_LONGEST_LINE = 2000


def read_tail(log: Path) -> list[str]:
    """The last lines of `log`, decoded for a person; empty where there is no log."""
    try:
        with open(log, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            stream.seek(max(0, size - _TAIL_BYTES))
            content = stream.read(_TAIL_BYTES)
    except OSError:
        return []
    return [line.rstrip("\r")[:_LONGEST_LINE] for line in content.decode("utf-8", "replace").split("\n")]


def last_traceback(lines: list[str]) -> str | None:
    """The last traceback in `lines`, with the ones it names as its cause; None where there is none."""
    heads = [number for number, line in enumerate(lines) if line == _HEAD]
    if not heads:
        return None
    end = _end(lines, heads[-1])
    start = heads[-1]
    for head in reversed(heads[:-1]):
        if not any(line in _LINKS for line in lines[_end(lines, head) : start]):
            break
        start = head
    return "\n".join(lines[start:end][-_LONGEST_TRACEBACK_LINES:])


def _end(lines: list[str], head: int) -> int:
    """The line behind the traceback that starts at `head`: its frames are indented, its exception is not."""
    number = head + 1
    while number < len(lines) and (lines[number].startswith(" ") or not lines[number]):
        number += 1
    return min(number + 1, len(lines))


def exception_of(traceback: str) -> dict[str, str] | None:
    """{"type", "message"} from the last line of a traceback."""
    found = _EXCEPTION.match(traceback.rsplit("\n", 1)[-1])
    return {"type": found["type"], "message": found["message"] or ""} if found else None


def last_lines(lines: list[str], count: int = 10) -> list[str]:
    """The last `count` lines that say something."""
    return [line for line in lines if line.strip()][-count:]
