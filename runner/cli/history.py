"""`runner history`: all runs of the workspace."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from runner.cli.place import output_option, run_argument, run_here, workspace_here
from runner.cli.table import cell, dump, format_table
from runner.cli.tty import bold, is_coloured
from runner.errors import UsageError
from runner.history.history_row import detail, list_attachments, read_metric_columns
from runner.history.run_record import read_record
from runner.history.status import RunStatus
from runner.store.run_lookup import LAST
from sidecar.contract.layout import WorkspaceLayout

_STATUSES = {status.value.lower(): status.value for status in RunStatus}
_LINE_WIDTH = 100  # a longer entry of one run's description goes over several lines

query_option = click.option("--query", metavar="JMESPATH", help="Pick from the JSON, such as 'max_by(@, &accuracy)'.")


@click.group()
def command() -> None:
    """List and describe all runs of this workspace."""


@command.command("list")
@output_option
@query_option
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(list(_STATUSES), case_sensitive=False),
    metavar="STATUS",
    help="Only runs of this status; may be given several times.",
)
@click.option("--last", type=click.IntRange(min=1), metavar="N", help="Only the N newest, or with --by the N first.")
@click.option("--by", "metric", metavar="METRIC", help="Only runs with this metric, the greatest last value first.")
@click.option("--lowest-first", is_flag=True, help="With --by: the lowest last value first.")
def list_command(
    output: str,
    query: str | None,
    statuses: tuple[str, ...],
    last: int | None,
    metric: str | None,
    *,
    lowest_first: bool,
) -> None:
    """List the runs, newest first, with what they logged.

    A table shows six digits of a number and the ends of a long series; JSON has all.
    """
    from runner.store.history_index import list_by_metric, list_runs

    workspace = workspace_here()
    if lowest_first and metric is None:
        raise UsageError("--lowest-first needs a metric to order the runs by", hint="runner history list --by METRIC")
    wanted = [_STATUSES[status] for status in statuses]
    if metric is None:
        listing = list_runs(workspace, statuses=wanted, limit=last)
    else:
        listing = list_by_metric(workspace, metric, statuses=wanted, limit=last, is_lowest_first=lowest_first)
    for run_id in listing.unreadable:
        click.echo(f"runner: the record of {run_id} cannot be read; it is left out", err=True)
    if query is None and output == "json":
        click.echo(listing.as_json())
        return
    rows = json.loads(listing.as_json())
    if query is not None:
        _show_query(rows, query, output)
    elif rows:
        _show_rows(rows)
    else:
        click.echo(
            f"runner: no such run in {workspace.root}" if statuses else f"runner: no run in {workspace.root}", err=True
        )


@command.command("last")
@output_option
@query_option
def last_command(output: str, query: str | None) -> None:
    """Describe the newest run."""
    _show_detail(*run_here(LAST), output=output, query=query)


@command.command("info")
@run_argument
@output_option
@query_option
def info_command(run: str, output: str, query: str | None) -> None:
    """Describe one run."""
    _show_detail(*run_here(run), output=output, query=query)


@command.command("reindex")
def reindex_command() -> None:
    """Build the index over all runs again from their folders."""
    from runner.store.history_index import reindex

    workspace = workspace_here()
    listing = reindex(workspace)
    for run_id in listing.unreadable:
        click.echo(f"runner: the record of {run_id} cannot be read; it is left out", err=True)
    click.echo(f"{len(listing.rows)} runs in {workspace.history}")


def _show_detail(workspace: WorkspaceLayout, run_id: str, *, output: str, query: str | None) -> None:
    layout = workspace.run(run_id)
    record = read_record(layout)
    found = detail(record, read_metric_columns(layout, record), list_attachments(layout))
    if query is not None:
        _show_query(found, query, output)
    elif output == "json":
        click.echo(dump(found))
    else:
        _show_object(found)


def _show_query(value: Any, query: str, output: str) -> None:
    found = _search(value, query)
    if output == "table" and isinstance(found, dict):
        _show_object(found)
    elif output == "table" and isinstance(found, list) and found and all(isinstance(row, dict) for row in found):
        _show_rows(found)
    else:
        click.echo(dump(found))


def _search(value: Any, query: str) -> Any:
    import jmespath
    import jmespath.exceptions

    try:
        return jmespath.search(query, value)
    except jmespath.exceptions.JMESPathError as error:
        raise UsageError(
            f"--query {query!r}: {error}", hint='see jmespath.org; a metric\'s name with spaces needs "quotes"'
        ) from error


def _show_rows(rows: list[dict[str, Any]]) -> None:
    keys = sorted(set().union(*rows))
    headers = [key[:1].upper() + key[1:] for key in keys]
    cells = ([row.get(key) for key in keys] for row in rows)
    click.echo(format_table(headers, cells, is_coloured=is_coloured(sys.stdout)), nl=False)


def _show_object(value: dict[str, Any]) -> None:
    width = max(map(len, map(cell, value)), default=0)
    on = is_coloured(sys.stdout)
    for key, entry in value.items():
        name = cell(key[:1].upper() + key[1:])
        first, *more = _lines(entry)
        click.echo(f"{bold(name, is_on=on)}{' ' * (width - len(name))}  {first}")
        for line in more:
            click.echo(f"{' ' * width}  {line}")


def _lines(entry: Any) -> list[str]:
    """An entry of an object as it stands beside its key: a list of files, or a large object, over several lines."""
    text = cell(entry)
    if len(text) <= _LINE_WIDTH:
        return [text]
    if isinstance(entry, dict):
        return dump(entry).splitlines()
    return text.split(", ") if isinstance(entry, str) else [text]
