"""`runner cancel`: stops everything of a run, and shows that nothing is left."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from runner.cli.place import run_here
from runner.cli.secrets import given_secrets, secret_options
from runner.cli.tty import complain
from runner.errors import UsageError


@click.command("cancel")
@click.argument("run")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to print the census.")
@click.option("--abandon", is_flag=True, help="Do not wait for nodes out of reach, or for a broken run.")
@secret_options
def command(run: str, output: str, *, abandon: bool, **options: Any) -> None:
    """Stop RUN on every node: TERM, grace, KILL; then count what is left.

    On a node that is out of reach it is stopped as soon as the node answers, unless the run is abandoned: then what
    runs there goes on by itself.
    """
    from runner import cancellation
    from runner.cli.resume import missing_secrets
    from runner.history.run_record import read_record

    workspace, run_id = run_here(run)
    run_layout = workspace.run(run_id)
    secrets = given_secrets(options)
    if secrets is not None:
        from runner.takeover import take_over

        take_over(workspace, run_id, secrets)
    elif (wish := missing_secrets(run_layout, read_record(run_layout))) is not None:
        cancellation.request_cancel(workspace, run_id)
        raise UsageError(f"{wish.replace('runner attach', 'runner cancel')}. It is canceled then")
    had_ended = read_record(run_layout).status.is_terminal
    record = cancellation.cancel(workspace, run_id, is_abandoning=abandon)
    if output == "json":
        click.echo(json.dumps({"run_id": run_id, "status": record.status.value, "census": record.census}, indent=1))
        return
    click.echo(f"{run_id}: {record.status}" + (", and was so already: nothing to cancel" if had_ended else ""))
    for node_id, found in sorted((record.census or {}).items()):
        click.echo(f"  {node_id}: {describe(found)}")
        if abandon and "problem" in found:
            kept = f"; its folder there is {found['kept']}" if "kept" in found else ""
            complain(f"{node_id}: not waited for; what the run started there may go on{kept}")


def describe(found: Mapping[str, Any]) -> str:
    """One node's census for a person."""
    if "problem" in found:
        return f"no census: {found['problem']}"
    parts = [
        f"{len(found['processes'])} processes",
        f"{len(found['shared_memory'])} shared memory segments",
        f"{len(found['ports'])} ports",
    ]
    removed = f" (removed {', '.join(found['removed'])})" if found["removed"] else ""
    return f"{', '.join(parts)} left{removed}"
