"""Shows the logs of a run: all there is, or live until the run ends."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import BinaryIO

from runner.logview.follow import POLL_S, CaughtUp, Progress, follow
from runner.logview.merge import merge_whole
from runner.logview.screen import Appearance, Screen
from runner.logview.sources import EVERYTHING, LogSource, Selection, SourceWatch, find_sources
from sidecar.contract.layout import RunLayout

_COPY_BYTES = 256 * 1024


def show_logs(layout: RunLayout, out: BinaryIO, appearance: Appearance, selection: Selection = EVERYTHING) -> None:
    """Writes every line of the run's logs that is there now, merged by time and labelled."""
    sources = find_sources(layout, selection)
    screen = Screen(out, appearance)
    screen.make_room(sources)
    for source, block in merge_whole(sources):
        screen.show(source, block)
    screen.finish()


def follow_logs(
    layout: RunLayout,
    out: BinaryIO,
    appearance: Appearance,
    selection: Selection = EVERYTHING,
    *,
    is_finished: Callable[[], bool],
    pause: Callable[[float], object] = time.sleep,
    poll_s: float = POLL_S,
) -> None:
    """Writes the run's logs as they grow; returns once `is_finished()` and all of it is written."""
    screen = Screen(out, appearance)
    watch = SourceWatch(layout, selection)

    def find() -> list[LogSource]:
        sources = watch.find()
        screen.make_room(sources)
        return sources

    shows_open_lines = appearance.pattern is None
    events = follow(find, is_finished=is_finished, shows_open_lines=shows_open_lines, pause=pause, poll_s=poll_s)
    try:
        for event in events:
            if isinstance(event, CaughtUp):
                screen.flush()
            elif isinstance(event, Progress):
                screen.show_progress(event.source, event.line)
            else:
                screen.show(event.source, event.block)
    finally:
        screen.finish()


def copy_bytes(
    path: str, out: BinaryIO, *, is_finished: Callable[[], bool], pause: Callable[[float], object] = time.sleep
) -> None:
    """Writes a file's bytes untouched, and what is appended to it until `is_finished()`."""
    offset = 0
    while True:
        finished = is_finished()
        offset = _copy_from(path, offset, out)
        out.flush()
        if finished:
            return
        pause(POLL_S)


def _copy_from(path: str, offset: int, out: BinaryIO) -> int:
    with open(path, "rb", buffering=0) as stream:
        if os.fstat(stream.fileno()).st_size < offset:
            offset = 0  # emptied by its writer: what it holds now is new
        stream.seek(offset)
        while chunk := stream.read(_COPY_BYTES):
            out.write(chunk)
            offset += len(chunk)
    return offset
