"""Registered models: files kept in the workspace under a name and a version, and what is known of them."""

from __future__ import annotations

import getpass
import shutil
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from runner.store import assets
from runner.store.assets import MODELS, AssetsLayout
from sidecar.contract.layout import WorkspaceLayout

RECORD = "model.json"
_FILES = "files"


def read_models(workspace: WorkspaceLayout, name: str) -> list[dict[str, Any]]:
    """The record of every version of a model, oldest first, its `version` in it."""
    layout = AssetsLayout.of(workspace)
    return [
        {**assets.read_json(layout.version(MODELS, name, version) / RECORD), "version": version}
        for version in assets.list_versions(layout, MODELS, name)
    ]


def files_of(workspace: WorkspaceLayout, name: str, version: int) -> Path:
    """The folder that holds what was registered."""
    return AssetsLayout.of(workspace).version(MODELS, name, version) / _FILES


def content_of(workspace: WorkspaceLayout, record: Mapping[str, Any]) -> Path:
    """The file or folder that was registered."""
    return files_of(workspace, str(record["name"]), int(record["version"])) / str(record["content"])


def add_model(workspace: WorkspaceLayout, name: str, source: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """Copies a file or folder as the next version of a model, and returns its record. Raises WorkspaceError.

    `about` may have description, tags, properties, run_id, experiment_name, model_framework,
    model_framework_version, and request: which of its run's requests this is.
    """
    content = source.resolve().name
    framework = about.get("model_framework")
    record: dict[str, Any] = {
        "name": name,
        "content": content,
        "description": about.get("description"),
        "tags": texts(about.get("tags")),
        "properties": texts(about.get("properties")),
        "run_id": about.get("run_id"),
        "experiment_name": about.get("experiment_name"),
        "model_framework": None if framework is None else str(framework),
        "model_framework_version": about.get("model_framework_version"),
        "created_time": datetime.now(timezone.utc).isoformat(timespec="microseconds"),
        "created_by": getpass.getuser(),
        "request": about.get("request"),
    }

    def fill(folder: Path) -> None:
        target = folder / _FILES / content
        target.parent.mkdir()
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)
        assets.write_json(folder / RECORD, record)

    version = assets.add_version(AssetsLayout.of(workspace), MODELS, name, fill)
    return {**record, "version": version}


def texts(values: Mapping[str, Any] | None) -> dict[str, str]:
    """Tags or properties with texts for names and values."""
    return {str(key): str(value) for key, value in (values or {}).items()}
