"""`runner mirror RUN`: the background process that copies a run to its MLflow server; also for a person to go on."""

from __future__ import annotations

import os

import click

from runner.cli.place import run_argument, run_here


@click.command("mirror", hidden=True)
@run_argument
def command(run: str) -> None:
    """Copy RUN to the MLflow server that its config names, until all of it is there."""
    from runner import mirroring

    os.nice(10)  # The processes of jobs come first.
    workspace, run_id = run_here(run)
    print(f"All of {run_id} is at {mirroring.copy(workspace, run_id)}.")
