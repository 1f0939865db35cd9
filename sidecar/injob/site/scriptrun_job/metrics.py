"""Appends one JSON line a metric to the process's metrics file: one system call, safe to kill at any moment.

    {"w": writer, "n": sequence, "t": wall ns, "name": ..., "value": ..., "step": ..., "kind": "scalar"[, "f": 1]}

JSON has no NaN and no infinities: they are strings, and "f": 1 tells them from text. A writer is one process: after a
fork the child becomes one of its own, so (w, n) names a record for ever.
"""

from __future__ import annotations

import itertools
import os
import sys
import time

try:
    from _json import encode_basestring_ascii as _encode
except ImportError:  # Not CPython.
    from json.encoder import encode_basestring_ascii as _encode

from scriptrun_job import system_log
from scriptrun_job.errors import UserErrorException

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Optional, Tuple

_NOT_FINITE = {"inf": '"Infinity"', "-inf": '"-Infinity"', "nan": '"NaN"'}
_LARGEST = 2**63 - 1
_FLOAT_MARK = ',"f":1'


class MetricsWriter:
    """The appending end of one metrics file; any thread may write, and a forked child goes on under a new name."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._by_process: Dict[int, Tuple[int, str, Callable[[], int]]] = {}
        self._has_warned = False
        self._line_start = ""

    def write(self, name: str, value: Any, step: Optional[Any] = None) -> None:
        """Appends one record. A full disk is said once on standard error, and the job goes on.

        Raises UserErrorException for an integer of more than 64 bits, TypeError or ValueError for a step that is no
        integer.
        """
        kind = type(value)
        if kind is float:
            text = repr(value)
            mark = ""
            if text in _NOT_FINITE:
                text, mark = _NOT_FINITE[text], _FLOAT_MARK
        else:
            text, mark = to_json(value)
        step_text = "null" if step is None else str(int(step))
        writer = self._by_process.get(os.getpid())
        descriptor, head, next_number = writer if writer is not None else self._open()
        line = (
            f'{self._line_start}{head}{next_number()},"t":{time.time_ns()},"name":{_encode(str(name))}'
            f',"value":{text},"step":{step_text},"kind":"scalar"{mark}}}\n'
        ).encode("ascii")
        try:
            written = os.write(descriptor, line)
        except OSError as error:
            self._warn(error.strerror or str(error))
            return
        # A torn line ends where the next record begins, so that only the torn one is lost.
        self._line_start = "" if written == len(line) else "\n"
        if self._line_start:
            self._warn("the disk is full")

    def _open(self) -> Tuple[int, str, Callable[[], int]]:
        """(descriptor, start of each record, counter) of this process; of threads that come at once one wins."""
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._warn(error.strerror or str(error))
            descriptor = -1
        mine = (descriptor, f'{{"w":"{os.urandom(16).hex()}","n":', itertools.count().__next__)
        writer = self._by_process.setdefault(os.getpid(), mine)
        if writer is not mine and descriptor >= 0:
            os.close(descriptor)
        return writer

    def _warn(self, reason: str) -> None:
        if self._has_warned:
            return
        self._has_warned = True
        text = f"metrics are being lost: cannot write {self._path}: {reason}"
        system_log.write("azureml.run", "ERROR", text)
        try:
            sys.stderr.write(f"azureml.core.Run: {text}\n")
        except (OSError, ValueError, AttributeError):  # Standard error is closed or full too.
            pass


def to_json(value: Any) -> Tuple[str, str]:
    """(JSON text, mark for the record's end) of a value that is not a plain float, as azureml-v1.md 2.4 converts it.

    numpy's scalars become Python's; what is no number, text, bool or None becomes its repr().
    """
    if value is None:
        return "null", ""
    if isinstance(value, bool):
        return ("true" if value else "false"), ""
    if isinstance(value, str):
        return _encode(str(value)), ""
    plain = _as_python_scalar(value)
    if plain is not value:
        return to_json(plain)
    if isinstance(value, int):
        if not -_LARGEST - 1 <= value <= _LARGEST:
            raise UserErrorException(f"run.log does not support integers of more than 64 bits: {value:#x}")
        return int.__repr__(value), ""
    if isinstance(value, float):
        text = float.__repr__(value)
        return (_NOT_FINITE[text], _FLOAT_MARK) if text in _NOT_FINITE else (text, "")
    return _encode(repr(value)), ""


def _as_python_scalar(value: Any) -> Any:
    """What `.item()` makes of a numpy scalar, or of an array or tensor of no dimensions; else `value` itself."""
    item = getattr(value, "item", None)
    if item is None or getattr(value, "ndim", None) != 0:
        return value
    try:
        plain = item()
    except Exception:  # Not the `item` that was meant.
        return value
    return plain if isinstance(plain, (bool, int, float, str)) else value
