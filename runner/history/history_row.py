"""What the history shows of one run, under the keys of Azure ML Workbench (reference azureml-v1.md 5.1)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from runner.history.child_runs import job_of
from runner.history.metrics_file import json_value, read_metrics
from runner.history.run_record import RunRecord
from sidecar.contract.layout import STATE, RunLayout


def read_metric_columns(layout: RunLayout, record: RunRecord) -> dict[str, Any]:
    """Every metric of a run as one JSON value: the value itself, or a list where it was logged several times."""
    columns = {}
    metrics = read_metrics(RunLayout(layout.root.with_name(job_of(record))), record.run_id)
    for name, values in metrics.by_name().items():
        safe = [json_value(value) for value in values]
        columns[name] = safe[0] if len(safe) == 1 else safe
    return columns


def list_row(record: RunRecord, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The row of `history list`: metrics are top-level keys beside the run's own, which win; keys in ASCII order."""
    own = {
        "run_id": record.run_id,
        "script_name": record.script_name,
        "status": record.status.value,
        "start_time_utc": record.start_time_utc,
        "duration": record.duration,
    }
    return dict(sorted({**metrics, **own}.items()))


def detail(record: RunRecord, metrics: Mapping[str, Any], attachments: list[str]) -> dict[str, Any]:
    """The object of `history info`: all of the record but the request, the metrics, and the run's files."""
    own = record.to_json()
    own.pop("request", None)
    own["attachments"] = ", ".join(attachments)
    own["experiment_id"] = record.experiment_name
    return dict(sorted({**metrics, **own}.items()))


def list_attachments(layout: RunLayout) -> list[str]:
    """The name of every file of the run, relative to its folder, sorted; the runner's own state is left out."""
    root = str(layout.root)
    names = []
    for folder, folders, files in os.walk(root):
        if folder == root:
            folders[:] = [name for name in folders if name != STATE]
            files = [name for name in files if name != layout.record.name]
        names += [os.path.relpath(os.path.join(folder, name), root) for name in files]
    return sorted(names)
