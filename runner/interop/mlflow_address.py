"""The address under which MLflow reads a workspace: `scriptrun:///home/me/project/.runner`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from runner.store.workspace import find_workspace
from sidecar.contract.layout import WorkspaceLayout

SCHEME = "scriptrun"


def address_of(path: Path) -> str:
    """The address of a workspace, or of a folder in it."""
    return f"{SCHEME}://{quote(os.fspath(path.absolute()))}"


def path_of(address: str) -> Path:
    """The folder that an address means."""
    return Path(unquote(urlsplit(address).path))


def workspace_of(address: str, environ: Mapping[str, str], cwd: Path) -> WorkspaceLayout:
    """The workspace that an address means; plain `scriptrun:` is the one that a command typed here would use."""
    path = path_of(address)
    return WorkspaceLayout(path) if path.is_absolute() else find_workspace(environ, cwd)
