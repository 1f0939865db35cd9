"""`runner azureml`: the names of Azure ML v1 in the current Python."""

from __future__ import annotations

import sys

import click


@click.group("azureml")
def command() -> None:
    """Make `import azureml.core` work in this Python, without Azure.

    Inside a job the names are always there; this is for the scripts and notebooks that submit jobs.
    """


@command.command("enable")
def enable_command() -> None:
    """Make the names importable; refused where a real azureml-core is installed."""
    from runner.azureml.enabling import enable

    click.echo(f"enabled: azureml.core and its kind are scriptrun's in {sys.executable} ({enable().file})")


@command.command("disable")
def disable_command() -> None:
    """Take the names away again."""
    from runner.azureml.enabling import disable

    click.echo("disabled" if disable() else "was not enabled")


@command.command("status")
def status_command() -> None:
    """Say whether the names are there, and what stands in the way."""
    from runner.azureml.enabling import read_status

    status = read_status()
    click.echo(f"{'enabled' if status.is_enabled else 'not enabled'} in {sys.executable} ({status.file})")
    if status.real_packages:
        click.echo(f"installed here: {', '.join(status.real_packages)}; the names cannot be enabled beside them")
