"""The script of a run: where it must lie, in the words of Azure ML v1 where it does not."""

from __future__ import annotations

import os

from runner.errors import UsageError
from sidecar.contract.containment import is_inside


def resolve_script(source_directory: str, script: str) -> str:
    """`script` relative to `source_directory`, without `.` and `..`. Raises UsageError unless it is a file in there.

    A link inside the folder is followed, and must end inside the folder too: the snapshot holds nothing else.
    """
    path = os.path.normpath(os.path.join(source_directory, script))
    relative = os.path.relpath(path, source_directory)
    if relative == os.pardir or relative.startswith(os.pardir + os.sep) or not is_inside(path, source_directory):
        raise UsageError(
            f"{path} script lies outside {source_directory}. The script should be inside the project folder",
            hint="move the script, or set source_directory to a folder that holds it",
        )
    if os.path.isdir(path):
        raise UsageError(f"{path} script path is a folder; 'script' names a file")
    if not os.path.exists(path):
        raise UsageError(
            f"{path} script path doesn't exist. The script should be inside the project folder",
            hint=_nearest_script(source_directory, relative) or f"'script' is relative to {source_directory}",
        )
    if not os.path.isfile(path):
        raise UsageError(f"{path} script path is no regular file")
    return relative


def check_source_directory(path: str) -> None:
    """Raises UsageError unless `path` is a folder that can be listed."""
    if not os.path.isdir(path):
        what = "is no folder" if os.path.lexists(path) else "doesn't exist"
        raise UsageError(f"source_directory {path} {what}")
    if not os.access(path, os.R_OK | os.X_OK):
        raise UsageError(f"source_directory {path} cannot be read")


def _nearest_script(source_directory: str, relative: str) -> str | None:
    from difflib import get_close_matches

    folder, name = os.path.split(relative)
    try:
        near = get_close_matches(name, os.listdir(os.path.join(source_directory, folder)), n=1)
    except OSError:
        return None
    return f"script: {os.path.join(folder, near[0])}" if near else None
