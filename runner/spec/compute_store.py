"""The compute files of a workspace: putting one in, and taking one out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from runner.errors import ConfigError, UsageError, WorkspaceError
from runner.spec.compute import LOCAL, ComputeTarget
from runner.spec.compute_file import read_compute_file, read_named_target, read_target
from runner.spec.document import read_document
from sidecar.contract import publish
from sidecar.contract.layout import compute_file_name, is_node_id


def attach(name: str, file: Path, compute_directory: Path) -> ComputeTarget:
    """Checks the compute file and keeps it as the target `name`. Raises ConfigError, UsageError, WorkspaceError.

    A file that means the same wherever it lies is kept as it is, comments included; one with paths relative to its own
    folder is written anew, with absolute ones.
    """
    if name == LOCAL or not is_node_id(name):
        raise UsageError(f"a compute target cannot be called {name!r}", hint="letters, digits, '.', '_', '-'")
    read_compute_file(file)
    document = read_document(file)
    meant = _renamed(read_target(document, folder=str(file.absolute().parent), compute_directory=None, path=""), name)
    try:
        moved = read_target(document, folder=str(compute_directory.absolute()), compute_directory=None, path="")
        # A file that calls itself otherwise would make hints name a target that nobody attached.
        is_movable = _renamed(moved, name) == meant and moved.name in (name, moved.to_record()["type"])
    except ConfigError:
        is_movable = False
    content = file.read_bytes() if is_movable else _written(meant)
    place = compute_directory / compute_file_name(name)
    try:
        compute_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not publish.create_once(place, content) and place.read_bytes() != content:
            raise UsageError(f"{name} is attached already ({place})", hint=f"runner compute detach {name}")
    except OSError as error:
        raise WorkspaceError(f"cannot write {place}: {error.strerror or error}") from error
    return meant


def detach(name: str, compute_directory: Path) -> Path:
    """Removes the target's compute file and returns where it was. Raises ConfigError where there is none."""
    if name == LOCAL:
        raise UsageError("local is always there")
    place = compute_directory / compute_file_name(name)
    if not place.exists():
        read_named_target(name, compute_directory)
    try:
        place.unlink()
    except OSError as error:
        raise WorkspaceError(f"cannot remove {place}: {error.strerror or error}") from error
    return place


def _renamed(target: ComputeTarget, name: str) -> ComputeTarget:
    return replace(target, name=name)


def _written(target: ComputeTarget) -> bytes:
    import yaml

    record = {key: value for key, value in target.to_record().items() if value is not None and key != "name"}
    if "nodes" in record:
        record["nodes"] = [{key: value for key, value in node.items() if value is not None} for node in record["nodes"]]
    text: str = yaml.safe_dump(record, sort_keys=False, allow_unicode=True)
    return text.encode("utf-8")
