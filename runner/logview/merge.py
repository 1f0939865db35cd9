"""Merges the logs of a run by the time at which their lines were seen."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from runner.logview.log_reader import CHUNK_BYTES, Block, LogReader
from runner.logview.sources import LogSource

# All logs together may hold this much at once, so that hundreds of them stay within some ten MiB.
_ALL_CHUNKS_BYTES = 8 * 1024 * 1024
_LEAST_CHUNK_BYTES = 4 * 1024


class Entry(NamedTuple):
    """Lines of one log, at their place among the others'."""

    source: LogSource
    block: Block


def open_reader(source: LogSource, *, count: int) -> LogReader:
    """A reader for `source`, one of `count` that are merged; it opens nothing yet."""
    chunk = min(CHUNK_BYTES, max(_LEAST_CHUNK_BYTES, _ALL_CHUNKS_BYTES // max(count, 1)))
    return LogReader(source.path, source.index_path, chunk_bytes=chunk, clock_offset_ns=source.clock_offset_ns)


def merge(readers: Iterable[tuple[LogSource, LogReader]]) -> Iterator[Entry]:
    """What is new in every log, by time; within one log in its own order, at equal times in the order given."""
    return heapq.merge(*(_entries(source, reader) for source, reader in readers), key=_time_ns)


def merge_whole(sources: Sequence[LogSource]) -> Iterator[Entry]:
    """All there is in every log by time, unfinished last lines included; holds no log in memory."""
    readers = [(source, open_reader(source, count=len(sources))) for source in sources]
    return heapq.merge(*(_with_rest(source, reader) for source, reader in readers), key=_time_ns)


def _time_ns(entry: Entry) -> int:
    return entry.block.time_ns


def _entries(source: LogSource, reader: LogReader) -> Iterator[Entry]:
    return (Entry(source, block) for block in reader.blocks())


def _with_rest(source: LogSource, reader: LogReader) -> Iterator[Entry]:
    yield from _entries(source, reader)
    rest = reader.take_open()
    if rest is not None:
        yield Entry(source, rest)
