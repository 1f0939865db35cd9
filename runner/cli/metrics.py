"""`runner metrics RUN [NAME ...]`: what the run's processes logged, as a table, JSON, CSV or a picture, also live."""

from __future__ import annotations

import csv
import io
import json
import math
import sys
import time
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timezone
from typing import Any

import click

from runner.cli.place import run_argument, run_here
from runner.cli.table import format_table
from runner.cli.tty import is_coloured
from runner.errors import NoSuchRunError
from runner.history.child_runs import job_of
from runner.history.metric_rows import MetricRow, MetricTail, rows_of
from runner.history.metrics_file import Metrics, json_value
from runner.history.run_record import read_record
from runner.history.status_watch import StatusWatch
from sidecar.contract.layout import WorkspaceLayout

_TABLE, _JSON, _CSV, _PLOT = "table", "json", "csv", "plot"
_POINT_HEADERS = ("Time", "Process", "Name", "Step", "Value")
_CSV_HEADERS = ("time_utc", "process_name", "name", "step", "value")
# How often a follower looks: more costs CPU, less lags behind.
_LOOK_S = 0.25
_PLOT_LOOK_S = 1.0
_PLOT_HEIGHT = 8
_CLEAR = "\x1b[H\x1b[2J"


@click.command()
@run_argument
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("-f", "--follow", is_flag=True, help="Show points as they come, until the run has ended.")
@click.option(
    "-o",
    "--output",
    type=click.Choice([_TABLE, _JSON, _CSV, _PLOT]),
    default=_TABLE,
    show_default=True,
    help="A table to read, JSON or CSV to process, a picture of each metric.",
)
def command(run: str, names: tuple[str, ...], *, follow: bool, output: str) -> None:
    """Show what a run logged: all metrics in short, or every point of those that are named.

    As JSON: an object that gives every metric's name a list of its values, in order of time. With --follow it is one
    object a point, a line each.
    """
    workspace, run_id = run_here(run)
    if follow:
        _follow(workspace, run_id, names, output)
    else:
        metrics = _read(workspace, run_id, names)
        _missing(metrics, names, run_id)
        _show(metrics, names, run_id, output)


def _read(workspace: WorkspaceLayout, run_id: str, names: Collection[str]) -> Metrics:
    from runner.store.metrics_index import read_run_metrics

    job_id = job_of(read_record(workspace.run(run_id)))
    only = next(iter(names)) if len(names) == 1 else None
    return read_run_metrics(workspace, job_id, run_id, name=only)


def _missing(metrics: Metrics, names: Collection[str], run_id: str) -> None:
    for name in names:
        if name not in metrics.names():
            raise NoSuchRunError(f"{run_id} logged no metric called {name!r}", hint=f"runner metrics {run_id}")


def _show(metrics: Metrics, names: Collection[str], run_id: str, output: str) -> None:
    if metrics.broken_count:
        click.echo(f"runner: {metrics.broken_count} metric lines of {run_id} cannot be read", err=True)
    if output == _JSON:
        values = {name: column for name, column in metrics.by_name().items() if not names or name in names}
        click.echo(json.dumps(json_value(values)))
    elif output == _CSV:
        click.echo(_csv([_CSV_HEADERS, *map(_csv_row, rows_of(metrics, names))]), nl=False)
    elif not metrics.names():
        click.echo(f"runner: {run_id} logged no metric", err=True)
    elif output == _PLOT:
        click.echo(_pictures(rows_of(metrics, names)), nl=False)
    elif names:
        rows = [_point(row) for row in rows_of(metrics, names)]
        click.echo(format_table(_POINT_HEADERS, rows, is_coloured=is_coloured(sys.stdout)), nl=False)
    else:
        rows = [
            (name, len(column), json_value(column[-1]), *_extremes(column))
            for name, column in metrics.by_name().items()
        ]
        headers = ("Name", "Count", "Last", "Least", "Greatest")
        click.echo(format_table(headers, rows, is_coloured=is_coloured(sys.stdout)), nl=False)


def _follow(workspace: WorkspaceLayout, run_id: str, names: Collection[str], output: str) -> None:
    from runner.cli.resume import resume_if_orphaned

    job_id = job_of(read_record(workspace.run(run_id)))
    resume_if_orphaned(workspace, job_id)
    watch, tail = StatusWatch(workspace.run(run_id)), MetricTail(workspace.run(job_id), run_id)
    show = _screen() if output == _PLOT else _printer(output)
    while True:
        is_finished = watch.is_finished()
        show([row for row in tail.poll() if not names or row.name in names])
        if is_finished:
            return
        time.sleep(_PLOT_LOOK_S if output == _PLOT else _LOOK_S)


def _printer(output: str) -> Callable[[Iterable[MetricRow]], None]:
    """What shows points as lines, each at once."""
    if output == _CSV:
        click.echo(_csv([_CSV_HEADERS]), nl=False)

    def show(rows: Iterable[MetricRow]) -> None:
        for row in rows:
            if output == _CSV:
                click.echo(_csv([_csv_row(row)]), nl=False)
            elif output == _JSON:
                keys = dict(zip(_CSV_HEADERS, (_iso(row), *row[1:4], json_value(row.value)), strict=True))
                click.echo(json.dumps(keys))
            else:
                click.echo("  ".join(map(str, _cells(row))))

    return show


def _screen() -> Callable[[Iterable[MetricRow]], None]:
    """What draws the pictures again whenever there is something new; not on a screen, one after another."""
    seen: list[MetricRow] = []

    def show(rows: Iterable[MetricRow]) -> None:
        before = len(seen)
        seen.extend(rows)
        if len(seen) > before:
            click.echo((_CLEAR if sys.stdout.isatty() else "") + _pictures(seen), nl=False)

    return show


def _pictures(rows: Iterable[MetricRow]) -> str:
    import shutil

    from runner.cli.plot import draw

    by_name: dict[str, list[MetricRow]] = {}
    for row in rows:
        by_name.setdefault(row.name, []).append(row)
    width = min(shutil.get_terminal_size((80, 24)).columns, 120)
    has_dots = "utf" in (getattr(sys.stdout, "encoding", None) or "").lower()
    pieces = []
    for found in by_name.values():
        xs, ys = _curve(found)
        picture = draw(xs, ys, width=width, height=_PLOT_HEIGHT, has_dots=has_dots)
        shown = picture or f"  no numbers, the last of {len(found)}: {_cells(found[-1])[-1]}\n"
        pieces.append(f"{_cells(found[0])[2]}\n{shown}")
    return "\n".join(pieces)


def _curve(rows: list[MetricRow]) -> tuple[list[float], list[float]]:
    """Steps, or numbers from 0 on, and values; of a table with two columns of numbers the one over the other."""
    if isinstance(rows[0].value, dict):
        columns = [name for name, cell in rows[0].value.items() if _is_number(cell)]
        rows = [row for row in rows if isinstance(row.value, dict)]
        if len(columns) == 2:
            pairs = [(row.value.get(columns[0]), row.value.get(columns[1])) for row in rows]
            pairs = [(x, y) for x, y in pairs if _is_number(x) and _is_number(y)]
            return [float(x) for x, _ in pairs], [float(y) for _, y in pairs]
        return [], []
    numbers = [row for row in rows if _is_number(row.value)]
    has_steps = all(row.step is not None for row in numbers)
    xs = [float(row.step) if has_steps and row.step is not None else float(index) for index, row in enumerate(numbers)]
    return xs, [float(row.value) for row in numbers]


def _point(row: MetricRow) -> tuple[Any, ...]:
    return (_iso(row), row.process_name, row.name, row.step, json_value(row.value))


def _cells(row: MetricRow) -> list[str]:
    from runner.cli.table import cell

    return [cell(value) for value in _point(row)]


def _csv_row(row: MetricRow) -> tuple[Any, ...]:
    value = row.value if isinstance(row.value, (str, int, float)) else json.dumps(json_value(row.value))
    return (_iso(row), row.process_name, row.name, "" if row.step is None else row.step, value)


def _csv(rows: Iterable[tuple[Any, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _iso(row: MetricRow) -> str:
    at = datetime.fromtimestamp(row.time_ns / 1e9, timezone.utc)
    return at.isoformat(timespec="microseconds")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _extremes(values: list[Any]) -> tuple[Any, Any]:
    numbers = [value for value in values if _is_number(value) and not math.isnan(value)]
    return (min(numbers), max(numbers)) if numbers else (None, None)
