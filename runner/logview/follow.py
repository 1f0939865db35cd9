"""Follows the logs of a run as they grow, until the run has ended and every byte was handed out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from runner.logview.log_reader import LogReader
from runner.logview.merge import Entry, merge, open_reader
from runner.logview.sources import LogSource

# Shorter: more work for nothing; longer: a line is seen later. After a while without news the longer one is taken.
POLL_S = 0.05
IDLE_POLL_S = 0.5
_IDLE_AFTER_S = 2.0

# An unfinished line is shown after this much quiet: a prompt, or the last words before a hang.
QUIET_S = 0.5

# How long a process's log waits for the process to be announced, so that its first lines bear its node's name.
_ANNOUNCE_S = 1.0


class Progress(NamedTuple):
    """The present state of a progress bar: an unfinished line that rewrites itself. It will be handed out again."""

    source: LogSource
    line: bytes


class CaughtUp(NamedTuple):
    """Everything there is was handed out; a good moment to flush."""


Event = Entry | Progress | CaughtUp


class _Followed:
    """One log, with the time of its last news."""

    def __init__(self, source: LogSource, reader: LogReader, now_s: float) -> None:
        self.source = source
        self.reader = reader
        self.first_seen_s = now_s
        self.news_s = now_s
        self.open_line = b""

    def is_ready(self, now_s: float) -> bool:
        """Whether the log may be shown: its label is known, or was waited for."""
        return self.source.label.is_known or now_s - self.first_seen_s >= _ANNOUNCE_S

    def notice(self, now_s: float) -> bool:
        """Takes note of the unfinished line; True where it changed."""
        changed = self.reader.open_line != self.open_line
        if changed:
            self.open_line, self.news_s = self.reader.open_line, now_s
        return changed


def follow(
    find: Callable[[], Sequence[LogSource]],
    *,
    is_finished: Callable[[], bool],
    shows_open_lines: bool = True,
    pause: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    poll_s: float = POLL_S,
) -> Iterator[Event]:
    """Yields what is new in all logs that `find` finds, now and later, each line once, in order within its log.

    Ends once `is_finished()` was true before a look that found nothing more. `pause` may return early.
    """
    logs: dict[str, _Followed] = {}
    quiet_since_s = clock()
    while True:
        finished, now_s = is_finished(), clock()
        _take_in(logs, find(), now_s)
        ready = [log for log in logs.values() if finished or log.is_ready(now_s)]
        has_news = False
        for entry in merge([(log.source, log.reader) for log in ready]):
            has_news = True
            yield entry
        for log in ready:
            if log.notice(now_s):
                has_news = True
            event = _open_line(log, is_due=finished and not has_news, now_s=now_s, shows=shows_open_lines)
            if event is not None:
                yield event
        yield CaughtUp()
        if finished and not has_news:
            return
        if has_news:
            quiet_since_s = now_s
        if not finished:
            pause(IDLE_POLL_S if now_s - quiet_since_s > _IDLE_AFTER_S else poll_s)


def _take_in(logs: dict[str, _Followed], sources: Sequence[LogSource], now_s: float) -> None:
    for source in sources:
        log = logs.get(source.name)
        if log is None:
            logs[source.name] = _Followed(source, open_reader(source, count=len(sources)), now_s)
        else:
            log.source = source


def _open_line(log: _Followed, *, is_due: bool, now_s: float, shows: bool) -> Event | None:
    if not log.reader.has_open_line:
        return None
    is_progress = b"\r" in log.reader.open_line.rstrip(b"\r") or log.reader.open_line.endswith(b"\r")
    if is_progress and not is_due:
        return Progress(log.source, log.reader.open_line)
    if is_due or (shows and now_s - log.news_s >= QUIET_S):
        block = log.reader.take_open()
        return None if block is None else Entry(log.source, block)
    return None
