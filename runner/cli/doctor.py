"""`runner doctor`: says of this machine what runs will find there."""

from __future__ import annotations

import dataclasses
import os
import sys

import click

from runner.cli.place import output_option, workspace_here
from runner.cli.table import dump, format_table
from runner.cli.tty import is_coloured
from runner.errors import MachineError, UsageError


@click.command()
@click.argument("target", required=False, metavar="[TARGET]")
@output_option
def command(target: str | None, output: str) -> int:
    """Say what this machine has, and what it lacks.

    Exit code 3 means that no run could start here.
    """
    from runner.nodes.machine_report import Level, inspect_machine

    if target not in (None, "local"):
        raise UsageError(f"doctor cannot look at {target!r}", hint="runner doctor, for this machine")
    findings = list(inspect_machine(workspace_here(), os.environ))
    if output == "json":
        click.echo(dump([dataclasses.asdict(finding) for finding in findings]))
    else:
        rows = [(finding.level.value, finding.name, finding.detail) for finding in findings]
        click.echo(format_table(("", "What", "Found"), rows, is_coloured=is_coloured(sys.stdout)), nl=False)
    return MachineError.exit_code if any(finding.level is Level.FAIL for finding in findings) else 0
