"""Appends what a script says of its run: one line of JSON a call, in one system call, safe to kill at any moment.

docs/metrics.md describes the records. A writer is one process: after a fork the child becomes one of its own, so
(w, n) names a record for ever.
"""

from __future__ import annotations

import itertools
import os
import sys
import time

from scriptrun_job import names, system_log
from scriptrun_job.values import NOT_FINITE, encode_text, to_json

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterable, Mapping, Optional, Tuple

_FLOAT_MARK = ',"f":1'
_LOST_ENDING = ".lost"
_by_path: Dict[str, Journal] = {}


def of_job() -> Optional[Journal]:
    """The journal of the job that this process belongs to, the same object at every call; None outside a job."""
    path = os.environ.get(names.METRICS_FILE)
    if not path:
        return None
    return _by_path.get(path) or _by_path.setdefault(path, Journal(path))


class Journal:
    """The appending end of one file; any thread may write, and a forked child goes on under a new name.

    On return the record is in the file: killing the process loses nothing. A full disk is said once on standard
    error, and the job goes on.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._by_process: Dict[int, Tuple[int, str, Callable[[], int]]] = {}
        self._has_warned = False
        self._line_start = ""
        self._lost_count = 0

    def scalar(self, name: str, value: Any, step: Optional[Any] = None, more: str = "") -> None:
        """Appends one scalar; `more` is JSON text for further keys, as `,"r":"child"`.

        Raises UserErrorException for an integer of more than 64 bits, TypeError or ValueError for a step that is no
        integer.
        """
        if type(value) is float:
            text = repr(value)
            mark = ""
            if text in NOT_FINITE:
                text, mark = NOT_FINITE[text], _FLOAT_MARK
        else:
            text, is_marked = to_json(value)
            mark = _FLOAT_MARK if is_marked else ""
        step_text = "null" if step is None else str(int(step))
        writer = self._by_process.get(os.getpid())
        descriptor, head, next_number = writer if writer is not None else self._open()
        self._write(
            descriptor,
            f'{self._line_start}{head}{next_number()},"t":{time.time_ns()},"name":{encode_text(str(name))}'
            f',"value":{text},"step":{step_text},"kind":"scalar"{mark}{more}}}\n',
        )

    def append(self, kind: str, fields: Mapping[str, Any]) -> None:
        """Appends one record of any kind; `fields` is what JSON can hold, without NaN and infinities."""
        self.append_all([(kind, fields)])

    def append_all(self, records: Iterable[Tuple[str, Mapping[str, Any]]]) -> None:
        """Appends some records in one system call. Raises ValueError for NaN and infinities, TypeError for the rest."""
        import json  # Costs more than what is logged most needs.

        encode = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
        self.append_texts((kind, encode(dict(fields))[1:-1]) for kind, fields in records)

    def append_texts(self, records: Iterable[Tuple[str, str]]) -> None:
        """Appends records that are (kind, JSON text of the other keys) in one system call."""
        bodies = [(f"{body}," if body else "") + f'"kind":{encode_text(kind)}' for kind, body in records]
        writer = self._by_process.get(os.getpid())
        descriptor, head, next_number = writer if writer is not None else self._open()
        now = time.time_ns()
        if bodies:
            lines = [f'{head}{next_number()},"t":{now},{body}}}\n' for body in bodies]
            self._write(descriptor, self._line_start + "".join(lines))

    def _write(self, descriptor: int, text: str) -> None:
        content = text.encode("ascii")
        try:
            written = os.write(descriptor, content)
        except OSError as error:
            self.lose(error.strerror or str(error), text.count("\n") - text.startswith("\n"))
            return
        # A torn line ends where the next record begins, so that only what is torn is lost.
        if written != len(content):
            self._line_start = "\n"
            self.lose("the disk is full", text[written:].count("\n"))
        else:
            self._line_start = ""
            if self._lost_count:
                self._tell_of_loss()

    def _open(self) -> Tuple[int, str, Callable[[], int]]:
        """(descriptor, start of each record, counter) of this process; of threads that come at once one wins."""
        try:
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            self._warn(error.strerror or str(error))
            descriptor = -1
        mine = (descriptor, f'{{"w":"{os.urandom(16).hex()}","n":', itertools.count().__next__)
        writer = self._by_process.setdefault(os.getpid(), mine)
        if writer is not mine and descriptor >= 0:
            os.close(descriptor)
        return writer

    def lose(self, reason: str, count: int = 1) -> None:
        """Notes that some records, or the files of some, could not be written."""
        self._lost_count += count
        self._warn(reason)

    def _tell_of_loss(self) -> None:
        """There is room again: says how many records were lost meanwhile."""
        count, self._lost_count = self._lost_count, 0
        self.append("lost", {"value": count})

    def _warn(self, reason: str) -> None:
        if self._has_warned:
            return
        self._has_warned = True
        self._leave_mark()
        text = f"metrics are being lost: cannot write {self.path}: {reason}"
        system_log.write("azureml.run", "ERROR", text)
        try:
            sys.stderr.write(f"azureml.core.Run: {text}\n")
        except (OSError, ValueError, AttributeError):  # Standard error is closed or full too.
            pass

    def _leave_mark(self) -> None:
        """An empty file, which a full disk has room for, tells the runner; where not even that fits, nothing does."""
        mark = os.path.splitext(self.path)[0] + _LOST_ENDING
        try:
            os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        except OSError:
            pass
