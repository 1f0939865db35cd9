"""`runner controller RUN_ID`: the background process of a run; started by submit and attach, not by a person."""

from __future__ import annotations

import os
from pathlib import Path

import click


@click.command("controller", hidden=True)
@click.argument("run_id")
@click.option("--secrets-on-stdin", "has_secrets", is_flag=True, help="What logins need is read first.")
def command(run_id: str, *, has_secrets: bool) -> None:
    """Take a run to its end. Started in the background by submit and attach."""
    from runner import wiring
    from runner.history.run_kind import SWEEP_KEY
    from runner.history.run_record import read_record
    from runner.store.workspace import find_workspace

    workspace = find_workspace(os.environ, Path.cwd())
    if SWEEP_KEY in read_record(workspace.run(run_id)).extra:
        from runner.sweeps.leader import lead

        lead(workspace, run_id, has_secrets=has_secrets)
    else:
        wiring.run_controller(workspace, run_id, has_secrets=has_secrets)
