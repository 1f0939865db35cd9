"""Cuts one growing log into blocks of whole lines that were seen at the same time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from runner.logview.index_reader import TimeIndex

# What is shown of one line. Smaller cuts real lines (JSON dumps); larger lets one line fill a screen a hundred times.
LINE_LIMIT_BYTES = 64 * 1024
ELLIPSIS = "…".encode()

# Read at once of each log. Larger costs memory for each of many logs, smaller costs system calls.
CHUNK_BYTES = 64 * 1024

# Kept of what was read, to see that a log was emptied and has since grown past the place.
_FINGERPRINT_BYTES = 64


class Block(NamedTuple):
    """Some lines of one log, seen at one time.

    Every line has its end, but the last one where `is_open`. Where `is_continuation`, the first line carries
    on an open one that was handed out before. A line over the limit ends with an ellipsis.
    """

    time_ns: int
    payload: bytes
    is_open: bool = False
    is_continuation: bool = False


class LogReader:
    """Reads a log from where it stopped; holds at most a chunk and a line in memory, and no open file.

    A log that was emptied is read from its start again.
    """

    def __init__(
        self,
        path: str,
        index_path: str | None = None,
        *,
        chunk_bytes: int = CHUNK_BYTES,
        clock_offset_ns: int = 0,
    ) -> None:
        self.path = path
        self._index = TimeIndex(index_path, clock_offset_ns=clock_offset_ns) if index_path else None
        self._chunk_bytes = chunk_bytes
        self._offset = 0
        self._inode = 0
        self._modified_ns = 0
        self._time_ns = 0
        self._fingerprint = b""
        self._line = b""  # the unfinished last line, or what is kept of it
        self._is_cut = False  # part of that line was dropped
        self._shown_bytes = 0  # of that line, handed out as open
        self._was_opened = False  # that line has been handed out in part

    def blocks(self) -> Iterator[Block]:
        """Every whole line up to the log's present end, once."""
        try:
            state = os.stat(self.path)
        except OSError:
            return
        if self._has_begun_anew(state):
            yield from self._begin_anew()
        self._inode, self._modified_ns = state.st_ino, state.st_mtime_ns
        while self._offset < state.st_size:
            chunk = self._read(self._offset, min(self._chunk_bytes, state.st_size - self._offset))
            if not chunk:
                return
            self._offset += len(chunk)
            self._fingerprint = (self._fingerprint + chunk[-_FINGERPRINT_BYTES:])[-_FINGERPRINT_BYTES:]
            yield from self._cut(chunk)

    @property
    def has_open_line(self) -> bool:
        """Whether an unfinished line holds something that was not handed out yet."""
        return len(self._line) > self._shown_bytes

    @property
    def open_line(self) -> bytes:
        """The unfinished last line, without what was dropped of it."""
        return self._line

    def take_open(self) -> Block | None:
        """Hands out the unfinished line as far as it is there; what follows of it will be a continuation."""
        if not self.has_open_line:
            return None
        payload = self._line[self._shown_bytes :] + (ELLIPSIS if self._is_cut else b"")
        block = Block(self._seen_at(self._offset), payload, True, self._was_opened)
        self._shown_bytes, self._was_opened = len(self._line), True
        return block

    def _has_begun_anew(self, state: os.stat_result) -> bool:
        if self._offset == 0:
            return False
        if state.st_size < self._offset or state.st_ino != self._inode:
            return True
        if state.st_mtime_ns == self._modified_ns and state.st_size == self._offset:
            return False
        length = len(self._fingerprint)
        return self._read(self._offset - length, length) != self._fingerprint

    def _begin_anew(self) -> Iterator[Block]:
        rest = self.take_open()
        if rest is not None:
            yield rest
        self._offset, self._fingerprint = 0, b""
        self._forget_line()
        if self._index is not None:
            self._index.skip_to_end()

    def _read(self, offset: int, count: int) -> bytes:
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return b""
        try:
            return os.pread(descriptor, count, offset)
        finally:
            os.close(descriptor)

    def _cut(self, chunk: bytes) -> Iterator[Block]:
        start = self._offset - len(chunk)
        end_of_first = chunk.find(b"\n") + 1
        if self._line or self._was_opened:
            if not end_of_first:
                self._extend(chunk)
                return
            yield self._finish_line(chunk[:end_of_first], start + end_of_first)
            chunk, start = chunk[end_of_first:], start + end_of_first
        end_of_last = chunk.rfind(b"\n") + 1
        if end_of_last:
            yield from self._by_time(chunk[:end_of_last], start)
        if end_of_last < len(chunk):
            self._extend(chunk[end_of_last:])

    def _by_time(self, lines: bytes, start: int) -> Iterator[Block]:
        taken = 0
        while taken < len(lines):
            first_end = lines.index(b"\n", taken) + 1
            seen = self._index.covering(start + first_end) if self._index else None
            until = len(lines) if seen is None else lines.rfind(b"\n", taken, max(seen.offset - start, 0)) + 1
            yield Block(self._later(None if seen is None else seen.time_ns), lines[taken:until])
            taken = until

    def _extend(self, more: bytes) -> None:
        line = self._line + more
        if len(line) <= LINE_LIMIT_BYTES:
            self._line = line
            return
        # Too long to keep: of a progress bar only the state after its last CR matters, of other text the start.
        last_cr = line.rstrip(b"\r").rfind(b"\r")
        if last_cr > 0:
            line, self._is_cut, self._shown_bytes = line[last_cr:], False, 0
        if len(line) > LINE_LIMIT_BYTES:
            line = line[:LINE_LIMIT_BYTES] + (b"\r" if line.endswith(b"\r") else b"")
            self._is_cut = True
        self._line = line

    def _finish_line(self, ending: bytes, end_offset: int) -> Block:
        is_continuation, was_shown = self._was_opened, self._shown_bytes
        time_ns = self._seen_at(end_offset)
        if not self._is_cut and len(self._line) + len(ending) <= LINE_LIMIT_BYTES:
            payload = self._line[was_shown:] + ending
        else:
            was_cut = self._is_cut
            self._extend(ending.rstrip(b"\r\n"))
            has_ellipsis = self._is_cut and not (was_cut and self._shown_bytes)
            payload = self._line[self._shown_bytes :] + (ELLIPSIS if has_ellipsis else b"") + b"\n"
        self._forget_line()
        return Block(time_ns, payload, False, is_continuation)

    def _forget_line(self) -> None:
        self._line, self._is_cut, self._shown_bytes, self._was_opened = b"", False, 0, False

    def _seen_at(self, end_offset: int) -> int:
        seen = self._index.covering(end_offset) if self._index else None
        return self._later(seen.time_ns if seen else None)

    def _later(self, time_ns: int | None) -> int:
        # A node's clock may be set back; the order within one log must not change for it. Where the index does
        # not reach, the file's time of change is the best upper bound.
        self._time_ns = max(self._time_ns, self._modified_ns if time_ns is None else time_ns)
        return self._time_ns
