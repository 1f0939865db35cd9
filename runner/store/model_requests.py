"""Registers models that a job asked for with `run.register_model` (docs/metrics.md), once its files are here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.errors import WorkspaceError
from runner.history.file_names import place_of
from runner.history.run_record import RunRecord
from runner.store.models import add_model, read_models
from sidecar.contract.layout import WorkspaceLayout


def register_asked(workspace: WorkspaceLayout, record: RunRecord, number: int, asked: Mapping[str, Any]) -> str | None:
    """Registers the `number`-th request of a run, unless it was already; says what went wrong, if anything did."""
    name, path = str(asked["name"]), str(asked["path"])
    known = (found for found in read_models(workspace, name) if found["run_id"] == record.run_id)
    if any(found.get("request") == number for found in known):
        return None
    source = place_of(workspace.run(record.run_id), path)
    if ".." in source.parts or not source.exists():
        return f"model {name} was not registered: the run has no {path}"
    about = {
        "tags": asked.get("tags"),
        "properties": asked.get("properties"),
        "description": asked.get("description"),
        "model_framework": asked.get("framework"),
        "model_framework_version": asked.get("framework_version"),
        "run_id": record.run_id,
        "experiment_name": record.experiment_name,
        "request": number,
    }
    try:
        add_model(workspace, name, source, about)
    except WorkspaceError as error:
        return f"model {name} was not registered: {error.message}"
    return None
