"""The files of a run as Azure ML v1 names them: `azureml-logs/`, `logs/`, `outputs/`, relative to the run folder."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from runner.history.file_names import place_of
from runner.sdk.exceptions import UserErrorException
from sidecar.contract.layout import ARTIFACTS, AZUREML_LOGS, OUTPUTS, SYSTEM_LOGS, USER_LOGS, RunLayout

# How many names a message lists: fewer may miss the one that was meant, more hide the message.
_SHOWN_NAMES = 50


def list_file_names(layout: RunLayout) -> list[str]:
    """Every regular file of the run, sorted; links and the runner's own state are left out."""
    names = [name for folder in (AZUREML_LOGS, USER_LOGS, OUTPUTS) for name in _walk(layout.root, folder)]
    return sorted(names + [name[len(ARTIFACTS) + 1 :] for name in _walk(layout.root, ARTIFACTS)])


def list_log_names(layout: RunLayout) -> list[str]:
    """The logs that v1 calls `logFiles`: the numbered ones, and the finer ones of the runner itself."""
    return sorted(name for folder in (AZUREML_LOGS, SYSTEM_LOGS) for name in _walk(layout.root, folder))


def _walk(root: Path, folder: str) -> list[str]:
    names = []
    for place, _, files in os.walk(root / folder):
        for name in files:
            path = os.path.join(place, name)
            if os.path.isfile(path) and not os.path.islink(path):
                names.append(os.path.relpath(path, root))
    return names


def download_file(layout: RunLayout, name: str, output_file_path: str | None) -> str:
    """Copies one file; a folder as the place, or none, keeps the file's own name. Returns where it is.

    Raises UserErrorException naming what there is, where the run has no such file.
    """
    names = list_file_names(layout)
    if name not in names:
        listing = "\n".join(names[:_SHOWN_NAMES])
        raise UserErrorException(f"File with path {name} was not found,\navailable files include:\n{listing}")
    target = output_file_path or os.path.basename(name)
    if target.endswith(os.sep) or os.path.isdir(target):
        target = os.path.join(target, os.path.basename(name))
    return _copy(layout, name, target)


def download_files(
    layout: RunLayout,
    prefix: str | None,
    output_directory: str | None,
    *,
    output_paths: list[str] | None,
    append_prefix: bool,
) -> list[str]:
    """Copies every file whose name starts with `prefix`; returns where they are.

    They keep their names below `output_directory`, without the folder `prefix` where `append_prefix` is false;
    `output_paths` gives each a place of its own. Raises UserErrorException where the counts differ.
    """
    names = [name for name in list_file_names(layout) if name.startswith(prefix or "")]
    if output_paths is not None and len(output_paths) != len(names):
        raise UserErrorException(f"output_paths has {len(output_paths)} places for {len(names)} files.")
    if output_paths is None:
        folder = (prefix or "").rstrip("/")
        output_paths = [
            os.path.relpath(name, folder) if not append_prefix and folder and name.startswith(f"{folder}/") else name
            for name in names
        ]
    return [
        _copy(layout, name, os.path.join(output_directory or "", path))
        for name, path in zip(names, output_paths, strict=True)
    ]


def copy_logs(layout: RunLayout, destination: str) -> list[str]:
    """Copies every log below `destination`, over what is there; returns the paths.

    Raises UserErrorException where `destination` is a file.
    """
    if os.path.exists(destination) and not os.path.isdir(destination):
        raise UserErrorException(f"{destination} exists and is not a directory.")
    return [_copy(layout, name, os.path.join(destination, name)) for name in list_log_names(layout)]


def _copy(layout: RunLayout, name: str, target: str) -> str:
    folder = os.path.dirname(target)
    if folder:
        os.makedirs(folder, exist_ok=True)
    shutil.copyfile(place_of(layout, name), target, follow_symlinks=False)
    return target
