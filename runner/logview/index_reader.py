"""Reads the time index beside a log: which byte was there when."""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

_RECORD = struct.Struct("<QQ")

# Larger: fewer reads, more memory for each of maybe hundreds of logs.
_RECORDS_A_READ = 512


class Seen(NamedTuple):
    """Bytes up to `offset` were in the log at `time_ns` (on this machine's wall clock)."""

    offset: int
    time_ns: int


class TimeIndex:
    """A cursor that only moves forward, as a log is read; it takes in what was appended meanwhile.

    `clock_offset_ns` is what the clock that wrote it is ahead of this machine's. A file that is not there, or ends
    within a record, is a short index and no error.
    """

    def __init__(self, path: str, *, clock_offset_ns: int = 0) -> None:
        self._path = path
        self._clock_offset_ns = clock_offset_ns
        self._position = 0
        self._loaded: list[Seen] = []
        self._next = 0

    def covering(self, end: int) -> Seen | None:
        """The first time at which the log's first `end` bytes were seen; None where the index is not that far."""
        while True:
            while self._next < len(self._loaded):
                seen = self._loaded[self._next]
                if seen.offset >= end:
                    return seen
                self._next += 1
            if not self._load():
                return None

    def skip_to_end(self) -> None:
        """Forgets all records up to now: the log began anew, and they told of its former bytes."""
        self._loaded, self._next = [], 0
        try:
            size = os.stat(self._path).st_size
        except OSError:
            size = 0
        self._position = size - size % _RECORD.size

    def _load(self) -> bool:
        try:
            with open(self._path, "rb", buffering=0) as stream:
                stream.seek(self._position)
                content = stream.read(_RECORDS_A_READ * _RECORD.size) or b""
        except OSError:
            return False
        whole = len(content) - len(content) % _RECORD.size
        self._position += whole
        ahead_ns = self._clock_offset_ns
        self._loaded = [Seen(offset, at_ns - ahead_ns) for offset, at_ns in _RECORD.iter_unpack(content[:whole])]
        self._next = 0
        return bool(self._loaded)
