"""`get_metrics` of a run and of the runs below it, in the shapes of azureml-v1.md 2.4."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from runner.errors import RunnerError
from runner.history.child_runs import job_of
from runner.history.run_record import read_record
from runner.store.metrics_index import read_run_metrics
from sidecar.contract.layout import ARTIFACTS, OUTPUTS, USER_LOGS, WorkspaceLayout


def metrics_of(workspace: WorkspaceLayout, run_id: str, *, name: str | None, is_populated: bool) -> dict[str, Any]:
    """The metrics of one run; a metric that is a file is its URI, or where `is_populated` what is in it.

    That is the object of a JSON file, else its bytes. Raises OSError where the file is not here.
    """
    job_id = job_of(read_record(workspace.run(run_id)))

    def file_value(kind: str, file: str) -> Any:
        if not is_populated:
            return f"aml://artifactId/ExperimentRun/dcid.{run_id}/{file}"
        root = workspace.run(run_id).root if job_id == run_id else workspace.run(job_id).child(run_id).root
        is_plain = file.split("/")[0] in (OUTPUTS, USER_LOGS)
        content = (root / file if is_plain else root / ARTIFACTS / file).read_bytes()
        return content if kind == "image" else json.loads(content)

    return read_run_metrics(workspace, job_id, run_id, name=name).shaped(file_value)


def metrics_below(workspace: WorkspaceLayout, run_id: str, *, name: str | None, is_populated: bool) -> dict[str, Any]:
    """By run id the metrics of a run and of all runs below it, as far as they have any."""
    found = {}
    for below in [run_id, *_below(workspace, run_id)]:
        metrics = metrics_of(workspace, below, name=name, is_populated=is_populated)
        if metrics:
            found[below] = metrics
    return found


def _below(workspace: WorkspaceLayout, run_id: str) -> list[str]:
    """The ids of all runs below a run, whoever made them."""
    from runner.store.run_lookup import list_run_ids

    parents: dict[str, str] = {}
    for other in list_run_ids(workspace):
        try:
            parent_id = read_record(workspace.run(other)).parent_run_id
        except RunnerError:
            continue  # removed meanwhile, or not readable: the others can still be told of
        if parent_id is not None:
            parents[other] = parent_id
    return [other for other in sorted(parents) if _is_below(other, run_id, parents)]


def _is_below(run_id: str, above: str, parents: Mapping[str, str]) -> bool:
    seen = set()
    while run_id in parents and run_id not in seen:
        seen.add(run_id)
        run_id = parents[run_id]
        if run_id == above:
            return True
    return False
