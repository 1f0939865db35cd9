"""Waits for the end of a run; on request shows every line of every node's logs meanwhile (azureml-v1.md 2.3).

v1 shows one log at a time and loses lines at the switch. Here all logs are merged by time, each line once.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import time
from typing import TYPE_CHECKING, BinaryIO, TextIO, cast

from runner.following import Watcher
from runner.history.run_record import RunRecord
from runner.history.status import RUNNING, RunStatus
from sidecar.contract import settings
from sidecar.contract.layout import WorkspaceLayout

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.logview.screen import Appearance

_POLL_S = 0.02
# v1 returns as soon as a run is Finalizing, when nobody can say yet whether it failed. On nodes at hand that takes a
# moment, so it is waited for. Too short: callers see Finalizing; too long: they wait for the collecting of large files.
_SETTLE_S = 5.0


def wait(workspace: WorkspaceLayout, run_id: str, *, post_processing: bool) -> RunRecord:
    """The record once the run has ended; without `post_processing` collecting its files is not waited for long.

    A run whose controller was killed is given a new one meanwhile.
    """
    watcher = Watcher(workspace, run_id, None)
    settles_at: float | None = None
    while not watcher.is_finished():
        if watcher.read().status not in RUNNING and not post_processing:
            settles_at = settles_at or time.monotonic() + _SETTLE_S
            if time.monotonic() >= settles_at:
                break
        time.sleep(_POLL_S)  # The condition is the record's status above.
    return watcher.read()


def stream(workspace: WorkspaceLayout, run_id: str, *, describe_error: Callable[[RunRecord], str] | None) -> RunRecord:
    """Prints the run's logs live, then the summary; returns the record once the run has ended.

    `describe_error` gives the text to print for a failed run; None where the caller will raise it. KeyboardInterrupt
    comes through, and leaves the run running.
    """
    from runner.logview.show import follow_logs

    run = workspace.run(run_id)
    out, web_view = sys.stdout, run.root.absolute().as_uri()
    out.write(f"RunId: {run_id}\nWeb View: {web_view}\n\n")
    out.flush()
    watcher = Watcher(workspace, run_id, None)
    follow_logs(run, _bytes_to(out), _appearance(out), is_finished=watcher.is_finished, poll_s=_POLL_S)
    record = watcher.read()
    out.write(f"\nExecution Summary\n=================\nRunId: {run_id}\nWeb View: {web_view}\n")
    if record.warnings:
        out.write("\nWarnings:\n" + "".join(f"{warning}\n" for warning in record.warnings))
    if record.status is RunStatus.FAILED and describe_error is not None:
        out.write(f"\nError:\n{describe_error(record)}\n")
    out.write("\n")
    out.flush()
    return record


class _TextSink(io.RawIOBase):
    """Takes bytes for a text stream that has none below it: a notebook's, or one that a test put in place."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def write(self, content: bytes) -> int:  # type: ignore[override]  # follow_logs writes bytes only
        self._text.write(self._decoder.decode(content))
        return len(content)

    def flush(self) -> None:
        self._text.flush()


def _bytes_to(text: TextIO) -> BinaryIO:
    return cast("BinaryIO", _TextSink(text))


def _appearance(out: TextIO) -> Appearance:
    from runner.logview.screen import Appearance

    try:
        is_terminal = out.isatty()
    except (ValueError, OSError, AttributeError):
        is_terminal = False
    is_plain = bool(os.environ.get(settings.NO_COLOR)) or os.environ.get("TERM") == "dumb"
    return Appearance(is_coloured=is_terminal and not is_plain, is_live=is_terminal)
