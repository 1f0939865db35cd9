"""Child runs that a job made: runs of their own, whose metrics and files are kept with the job that made them."""

from __future__ import annotations

from typing import Any

from runner.history.run_record import RunRecord
from sidecar.contract import publish
from sidecar.contract.layout import RunLayout, WorkspaceLayout, is_experiment_name

_ROOT = "root_run_id"
# The key of a record that says which kind of run it is; a child run has v1's word for none.
_KIND = "type"


def child_extra(job_id: str) -> dict[str, Any]:
    """What the record of a child run has beside the usual keys."""
    return {_KIND: None, _ROOT: job_id}


def job_of(record: RunRecord) -> str:
    """The run whose job keeps the metrics of this one: itself, unless a job made it as a child."""
    return str(record.extra.get(_ROOT) or record.run_id)


def descendants(workspace: WorkspaceLayout, run_id: str) -> list[RunLayout]:
    """The folders of all runs that jobs made below a run, parents first."""
    found = []
    for record in publish.read_records(workspace.run(run_id).children):
        child_id = str(record.get("run_id"))
        if is_experiment_name(child_id) and workspace.run(child_id).record.exists():
            found += [workspace.run(child_id), *descendants(workspace, child_id)]
    return found
