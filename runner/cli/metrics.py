"""`runner metrics RUN`: what the run's processes logged."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from runner.cli.place import output_option, run_argument, run_here
from runner.cli.table import format_table
from runner.cli.tty import is_coloured
from runner.history.metrics_file import json_value, read_metrics


@click.command()
@run_argument
@output_option
def command(run: str, output: str) -> None:
    """Show what a run logged.

    As JSON: an object that gives every metric's name a list of its values, in order of time.
    """
    workspace, run_id = run_here(run)
    metrics = read_metrics(workspace.run(run_id))
    values = {name: [json_value(value) for value in column] for name, column in metrics.by_name().items()}
    if metrics.broken_count:
        click.echo(f"runner: {metrics.broken_count} metric lines of {run_id} cannot be read", err=True)
    if output == "json":
        click.echo(json.dumps(values))
    elif values:
        rows = [(name, len(column), column[-1], *_extremes(column)) for name, column in values.items()]
        headers = ("Name", "Count", "Last", "Least", "Greatest")
        click.echo(format_table(headers, rows, is_coloured=is_coloured(sys.stdout)), nl=False)
    else:
        click.echo(f"runner: {run_id} logged no metric", err=True)


def _extremes(values: list[Any]) -> tuple[Any, Any]:
    numbers = [value for value in values if isinstance(value, (int, float)) and not isinstance(value, bool)]
    return (min(numbers), max(numbers)) if numbers else (None, None)
