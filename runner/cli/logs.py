"""`runner logs RUN`: everything that a run wrote, on one screen."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Callable
from datetime import datetime
from typing import BinaryIO

import click

from runner.cli.place import run_argument, run_here
from runner.cli.tty import appearance_of
from runner.errors import UsageError
from runner.history.status_watch import StatusWatch
from runner.logview.show import copy_bytes, follow_logs, show_logs
from runner.logview.since import parse_since
from runner.logview.sources import EVERYTHING, LogSource, Selection, find_sources
from sidecar.contract.layout import RunLayout


@click.command()
@run_argument
@click.option("-f", "--follow", is_flag=True, help="Go on until the run has ended.")
@click.option("--rank", "ranks", type=click.IntRange(min=0), multiple=True, metavar="N", help="Only this process.")
@click.option("--node", "node_ids", multiple=True, metavar="ID", help="Only this node.")
@click.option("--file", "file_glob", metavar="GLOB", help="Only these files of the run's folder.")
@click.option("--grep", "pattern", metavar="RE", help="Only lines in which this regular expression is found.")
@click.option("--since", metavar="T", help="Only lines since then: 10m, 2h, or a time such as 2026-11-20T22:30:00Z.")
@click.option("--no-color", is_flag=True, help="No colours, as with NO_COLOR set.")
def command(
    run: str,
    *,
    follow: bool,
    ranks: tuple[int, ...],
    node_ids: tuple[str, ...],
    file_glob: str | None,
    pattern: str | None,
    since: str | None,
    no_color: bool,
) -> None:
    """Show a run's logs, merged by time and labelled node:rank.

    With --file and one file that fits, a pipe gets the file's bytes as they are.
    """
    from runner.cli.resume import resume_if_orphaned

    appearance = dataclasses.replace(
        appearance_of(sys.stdout, may_colour=not no_color),
        pattern=_compile(pattern),
        since_ns=parse_since(since, now=datetime.now().astimezone()) if since else 0,
    )
    selection = Selection(ranks=frozenset(ranks), node_ids=frozenset(node_ids), file_glob=file_glob)
    workspace, run_id = run_here(run)
    resume_if_orphaned(workspace, run_id)
    layout = workspace.run(run_id)
    watch = StatusWatch(layout)
    sources = _choose(layout, selection, may_come_later=follow and not watch.is_finished())
    is_finished = watch.is_finished if follow else lambda: True
    out = sys.stdout.buffer
    try:
        if file_glob and len(sources) == 1 and not (pattern or since or appearance.is_live):
            copy_bytes(sources[0].path, out, is_finished=is_finished)
        elif follow:
            follow_logs(layout, out, appearance, selection, is_finished=is_finished)
        else:
            show_logs(layout, out, appearance, selection)
    except KeyboardInterrupt:
        _say_goodbye(run_id, out, watch.is_finished)
        raise


def _compile(pattern: str | None) -> re.Pattern[str] | None:
    try:
        return None if pattern is None else re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--grep {pattern!r} is no regular expression: {error}") from error


def _choose(layout: RunLayout, selection: Selection, *, may_come_later: bool) -> list[LogSource]:
    sources = find_sources(layout, selection)
    if sources or may_come_later or selection.is_everything:
        return sources
    there = find_sources(layout, EVERYTHING if selection.file_glob is None else Selection(file_glob="*"))
    if selection.file_glob is not None:
        listed = [source.name for source in there]
    else:
        listed = [source.label.text for source in there]
    raise UsageError(f"no log of {layout.root.name} fits; it has: {', '.join(listed) or 'none yet'}")


def _say_goodbye(run_id: str, out: BinaryIO, is_finished: Callable[[], bool]) -> None:
    out.flush()
    if not is_finished():
        click.echo(f"\nrunner: the run goes on; come back with: runner logs -f {run_id}", err=True)
