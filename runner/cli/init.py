"""`runner init`: makes the current folder the home of a workspace."""

from __future__ import annotations

import click

from runner.cli.place import current_folder
from runner.store.workspace import WORKSPACE_FOLDER, create
from sidecar.contract.layout import WorkspaceLayout


@click.command()
def command() -> None:
    """Make a workspace in this folder.

    Runs that are submitted from this folder, or from one below it, are kept in its .runner folder.
    """
    workspace = WorkspaceLayout(current_folder() / WORKSPACE_FOLDER)
    if create(workspace):
        click.echo(f"made the workspace {workspace.root}")
    else:
        click.echo(f"the workspace {workspace.root} is there already")
