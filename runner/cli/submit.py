"""`runner submit`: reads a config file, starts the run, and returns or follows it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli.place import workspace_here
from runner.cli.secrets import given_secrets, secret_options
from runner.errors import UsageError

if TYPE_CHECKING:
    from runner.history.run_record import RunRecord
    from runner.spec.request import RunRequest
    from runner.transports.ssh.authentication import Secrets
    from sidecar.contract.layout import WorkspaceLayout


class _Submit(click.Command):
    """Says where an option of the script belongs, when it is met among the runner's own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            hint = f"Is it the script's? Then put it behind --: runner submit CONFIG -- {error.option_name}"
            raise click.NoSuchOption(
                error.option_name, f"{error.message} {hint}", possibilities=error.possibilities, ctx=ctx
            ) from error


@click.command("submit", cls=_Submit)
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("script_arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of the config file.")
@click.option("--show-output", is_flag=True, help="Follow the run to its end. Ctrl-C leaves it running.")
@click.option("--dry-run", is_flag=True, help="Print what every phase would do, and start nothing.")
@click.option("-o", "--output", type=click.Choice(["table", "json"]), default="table", help="How to print the result.")
@secret_options
def command(
    config: Path,
    script_arguments: tuple[str, ...],
    overrides: tuple[str, ...],
    *,
    show_output: bool,
    dry_run: bool,
    output: str,
    **options: Any,
) -> None:
    """Start a run of the script that CONFIG describes.

    Whatever stands behind `--` is passed on to the script, after the arguments of the config file.
    """
    from runner.spec.config_file import read_request

    workspace = workspace_here()
    request = read_request(
        config, overrides=overrides, extra_arguments=script_arguments, compute_directory=workspace.compute
    )
    for warning in request.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    if dry_run:
        _print_plans(workspace, request, output)
        return
    from runner import submission

    secrets = _secrets_for(request, options)
    record = submission.submit(request, workspace, environ=os.environ, secrets=secrets)
    _print_handed_over(workspace, record, output, is_followed=show_output)
    if show_output:
        from runner import following
        from runner.cli.tty import appearance_of

        screen = sys.stderr if output == "json" else sys.stdout
        look, is_quiet = appearance_of(screen), output == "json"
        sys.exit(following.follow(workspace, record.run_id, look, is_quiet=is_quiet, secrets=secrets))


def _secrets_for(request: RunRequest, options: Mapping[str, Any]) -> Secrets | None:
    """What the options give, where there is a login that could need it. Raises UsageError elsewhere."""
    from runner.spec.compute import LocalTarget

    secrets = given_secrets(options)
    if secrets is not None and isinstance(request.compute_target, LocalTarget):
        raise UsageError("the run stays on this machine: it needs no password")
    return secrets


def _print_plans(workspace: WorkspaceLayout, request: RunRequest, output: str) -> None:
    from runner import submission
    from runner.phases.sequence import plans

    context = submission.dry_context(request, workspace, environ=os.environ)
    found = plans(context)
    if output == "json":
        phases = [{"phase": plan.phase, "lines": list(plan.lines)} for plan in found]
        click.echo(json.dumps({"dry_run": True, "request": request.to_record(), "phases": phases}, indent=1))
        return
    for plan in found:
        click.echo(plan.phase)
        for line in plan.lines:
            click.echo(f"  {line}")


def _print_handed_over(workspace: WorkspaceLayout, record: RunRecord, output: str, *, is_followed: bool) -> None:
    folder = workspace.run(record.run_id).root
    if output == "json":
        if not is_followed:
            click.echo(
                json.dumps(
                    {"run_id": record.run_id, "status": record.status.value, "run_directory": str(folder)}, indent=1
                )
            )
        return
    click.echo(f"RunId: {record.run_id}")
    if is_followed:
        return
    click.echo(f"Folder: {folder}")
    click.echo("")
    click.echo(f"  runner logs -f {record.run_id}     follow its output")
    click.echo(f"  runner status {record.run_id}      see how far it is")
    click.echo(f"  runner cancel {record.run_id}      stop it, all of it")
