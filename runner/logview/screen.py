"""Writes entries of logs as labelled lines: to a terminal, or plainly to a file or a pipe."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO

from runner.logview.labels import Label
from runner.logview.log_reader import Block
from runner.logview.sources import LogSource
from runner.logview.terminal_text import harmless, is_plain

_ERASE_LINE = b"\r\x1b[K"


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """How lines look: `is_live` means that a progress bar may be rewritten in place (a terminal)."""

    is_coloured: bool = False
    is_live: bool = False
    pattern: re.Pattern[str] | None = None
    since_ns: int = 0


class Screen:
    """One column of labels, one of text. Knows which unfinished line the cursor stands behind."""

    def __init__(self, out: BinaryIO, appearance: Appearance) -> None:
        self._out = out
        self._appearance = appearance
        self._width = 0
        self._labels: dict[Label, bytes] = {}
        self._open_name: str | None = None  # of the log whose unfinished line is the last thing written
        self._has_progress = False  # the last thing written is a progress bar that may be erased

    def make_room(self, sources: Iterable[LogSource]) -> None:
        """Widens the column of labels to what `sources` need."""
        width = max((len(source.label.text) for source in sources), default=0)
        if width > self._width:
            self._width = width
            self._labels.clear()

    def show(self, source: LogSource, block: Block) -> None:
        """Writes the lines of `block` that are wanted."""
        if block.time_ns < self._appearance.since_ns:
            return
        if self._appearance.pattern is None and not block.is_open and not block.is_continuation:
            if is_plain(block.payload):
                self._start_line()
                label = self._label(source)
                self._out.write(label + block.payload[:-1].replace(b"\n", b"\n" + label) + b"\n")
                return
        self._show_each(source, block)

    def show_progress(self, source: LogSource, line: bytes) -> None:
        """Shows a progress bar's state until the next line comes; a pipe gets its last state only, as a line."""
        if not self._appearance.is_live or self._appearance.pattern or self._open_name is not None:
            return
        room = max(_columns() - self._width - 4, 10)
        text = harmless(line, is_coloured=False)[:room]
        self._out.write(_ERASE_LINE + self._label(source) + text.encode("utf-8", "replace"))
        self._has_progress = True

    def flush(self) -> None:
        """Lets everything written so far be seen."""
        self._out.flush()

    def finish(self) -> None:
        """Ends an unfinished line, so that what comes next starts on a line of its own."""
        self._start_line()
        self._out.flush()

    def _show_each(self, source: LogSource, block: Block) -> None:
        lines = block.payload.split(b"\n")
        if not block.is_open:
            lines.pop()
        for number, line in enumerate(lines):
            is_open = block.is_open and number == len(lines) - 1
            self._show_line(source, line, is_open=is_open, is_continuation=block.is_continuation and number == 0)

    def _show_line(self, source: LogSource, line: bytes, *, is_open: bool, is_continuation: bool) -> None:
        text = harmless(line, is_coloured=self._appearance.is_coloured)
        pattern = self._appearance.pattern
        if pattern and not pattern.search(harmless(line, is_coloured=False)):
            return
        content = text.encode("utf-8", "replace")
        # A continuation that rewrites its line (CR) is a new state, and gets a line of its own.
        if is_continuation and self._open_name == source.name and b"\r" not in line.rstrip(b"\r"):
            self._out.write(content)
        elif is_continuation and not content:
            return  # only the line's end was missing, and another line has come between
        else:
            self._start_line()
            self._out.write(self._label(source) + content)
        self._open_name = source.name if is_open else None
        if not is_open:
            self._out.write(b"\n")

    def _start_line(self) -> None:
        if self._has_progress:
            self._out.write(_ERASE_LINE)
            self._has_progress = False
        elif self._open_name is not None:
            self._out.write(b"\n")
        self._open_name = None

    def _label(self, source: LogSource) -> bytes:
        found = self._labels.get(source.label)
        if found is None:
            text = f"{source.label.text:<{self._width}}"
            text = f"\x1b[{source.label.colour}m{text}\x1b[0m" if self._appearance.is_coloured else text
            found = self._labels[source.label] = f"{text} | ".encode("utf-8", "replace")
        return found


def _columns() -> int:
    try:
        # A terminal that does not know its size (a build machine's) says 0.
        return os.get_terminal_size().columns or 80
    except OSError:
        return 80
