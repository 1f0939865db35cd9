"""Where the workspace is, and making one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from runner.errors import WorkspaceError
from sidecar.contract import settings
from sidecar.contract.layout import WorkspaceLayout

WORKSPACE_FOLDER = ".runner"


def find_workspace(environ: Mapping[str, str], cwd: Path) -> WorkspaceLayout:
    """The workspace for a command typed in `cwd`; it need not exist yet.

    `$RUNNER_WORKSPACE` is the workspace itself; else the nearest folder above that holds `.runner/`, which then
    is the workspace; else `~/.runner`. Raises WorkspaceError where the place is taken by something else.
    """
    chosen = environ.get(settings.WORKSPACE)
    if chosen:
        root = cwd / Path(chosen).expanduser()
    else:
        root = _nearest(cwd) or _home(environ) / WORKSPACE_FOLDER
    if root.exists() and not root.is_dir():
        raise WorkspaceError(f"the workspace {root} is not a folder", hint=f"set {settings.WORKSPACE} to another place")
    return WorkspaceLayout(root)


def create(workspace: WorkspaceLayout) -> bool:
    """Makes the workspace's folders and proves that they can be written; True where it was not there before.

    The folder keeps itself out of version control. Raises WorkspaceError.
    """
    is_new = not workspace.root.is_dir()
    try:
        for folder in (workspace.root, workspace.runs, workspace.snapshots, workspace.compute, workspace.nodes):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=workspace.runs) as probe:
            probe.write(b"x")
        if is_new:
            (workspace.root / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise WorkspaceError(
            f"cannot write the workspace {workspace.root}: {error.strerror or error}",
            hint=f"make it writable, or set {settings.WORKSPACE} to another folder",
        ) from error
    return is_new


def _nearest(cwd: Path) -> Path | None:
    candidates = (folder / WORKSPACE_FOLDER for folder in (cwd, *cwd.parents))
    return next((candidate for candidate in candidates if candidate.is_dir()), None)


def _home(environ: Mapping[str, str]) -> Path:
    home = environ.get("HOME") or os.path.expanduser("~")
    if not os.path.isabs(home):
        raise WorkspaceError("no home folder is known for this user", hint=f"set {settings.WORKSPACE}")
    return Path(home)
