"""`runner attach`: goes on with a run, whoever stopped watching or controlling it."""

from __future__ import annotations

import sys
from typing import Any

import click

from runner.cli.place import run_here
from runner.cli.secrets import given_secrets, secret_options
from runner.errors import UsageError


@click.command("attach")
@click.argument("run")
@secret_options
def command(run: str, **options: Any) -> None:
    """Follow RUN to its end; start its controller again if that was killed.

    With a password or a passphrase, a controller that has it takes over.
    """
    from runner import following
    from runner.cli.resume import missing_secrets, resume_if_orphaned
    from runner.cli.tty import appearance_of
    from runner.history.run_record import read_record

    workspace, run_id = run_here(run)
    run_layout = workspace.run(run_id)
    secrets = given_secrets(options)
    if secrets is not None:
        from runner.takeover import take_over

        take_over(workspace, run_id, secrets)
    elif (wish := missing_secrets(run_layout, read_record(run_layout))) is not None:
        raise UsageError(wish)
    resume_if_orphaned(workspace, run_id)
    click.echo(f"RunId: {run_id}")
    sys.exit(following.follow(workspace, run_id, appearance_of(sys.stdout), is_quiet=False, secrets=secrets))
