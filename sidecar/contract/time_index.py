"""Bytes carry no time, so each log has an index beside it: how long the log was, and when it was seen so.

A file of 16-byte records, little endian: offset u64, wall clock u64 in nanoseconds. Offsets ascend; a log that became
shorter (truncated by its script) starts over with a smaller one.
"""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path
from typing import Callable, Dict, Tuple

from sidecar.contract.layout import RunLayout

RECORD = struct.Struct("<QQ")


class TimeIndexer:
    """Appends to the index of every log it is told of, whenever the log is seen to have grown."""

    def __init__(self, run: RunLayout, *, clock_ns: Callable[[], int] = time.time_ns) -> None:
        self._run = run
        self._clock_ns = clock_ns
        self._known: Dict[Path, int] = {}

    def add(self, log: Path) -> None:
        """Starts to follow `log`, from where its index ends."""
        if log not in self._known:
            self._known[log] = _last_offset(self._run.time_index(log.name))

    @property
    def logs(self) -> Tuple[Path, ...]:
        """The logs that are followed."""
        return tuple(self._known)

    def look(self) -> bool:
        """Looks at every log once; says whether any has grown."""
        has_grown = False
        for log, offset in self._known.items():
            try:
                size = os.stat(log).st_size
            except OSError:
                continue
            if size != offset:
                self._append(log, size)
                has_grown = True
        return has_grown

    def _append(self, log: Path, size: int) -> None:
        path = self._run.time_index(log.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, RECORD.pack(size, self._clock_ns()))
        finally:
            os.close(descriptor)
        self._known[log] = size


def _last_offset(index: Path) -> int:
    """The last offset in `index`; a torn last record is cut off, so that the next one is aligned."""
    try:
        descriptor = os.open(index, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        whole = os.fstat(descriptor).st_size // RECORD.size * RECORD.size
        os.ftruncate(descriptor, whole)
        if whole == 0:
            return 0
        offset: int = RECORD.unpack(os.pread(descriptor, RECORD.size, whole - RECORD.size))[0]
        return offset
    finally:
        os.close(descriptor)
