"""`runner attach`: goes on with a run, whoever stopped watching or controlling it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click


@click.command("attach")
@click.argument("run")
def command(run: str) -> None:
    """Follow RUN to its end; start its controller again if that was killed."""
    from runner import following
    from runner.cli.resume import resume_if_orphaned
    from runner.cli.tty import appearance_of
    from runner.store.run_lookup import resolve
    from runner.store.workspace import find_workspace

    workspace = find_workspace(os.environ, Path.cwd())
    run_id = resolve(workspace, run)
    resume_if_orphaned(workspace, run_id)
    click.echo(f"RunId: {run_id}")
    sys.exit(following.follow(workspace, run_id, appearance_of(sys.stdout), is_quiet=False))
