"""Which workspace and which run a command line means."""

from __future__ import annotations

import os
from pathlib import Path

import click

from runner.errors import WorkspaceError
from runner.store.run_lookup import resolve
from runner.store.workspace import find_workspace
from sidecar.contract.layout import WorkspaceLayout

run_argument = click.argument("run", metavar="RUN")

output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="A table to read, or JSON to process.",
)


def current_folder() -> Path:
    """The folder that the command was typed in; raises WorkspaceError where it was removed meanwhile."""
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise WorkspaceError("the current folder does not exist any more", hint="cd to another folder") from error


def workspace_here() -> WorkspaceLayout:
    """The workspace for the folder that the command was typed in."""
    return find_workspace(os.environ, current_folder())


def run_here(text: str) -> tuple[WorkspaceLayout, str]:
    """The workspace, and the id of the run in it that `text` means; raises NoSuchRunError."""
    workspace = workspace_here()
    return workspace, resolve(workspace, text)
