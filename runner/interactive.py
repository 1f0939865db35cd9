"""Runs that no controller leads: a notebook or a program that logs, from outside any job (azureml-v1.md 1.2, 2.6)."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from runner import wiring
from runner.errors import SnapshotError, UsageError
from runner.history.record_update import update_record
from runner.history.run_kind import has_controller, marked
from runner.history.run_record import RunRecord, iso_utc, read_record, with_status
from runner.history.status import RunStatus
from runner.store import workspace as workspaces
from sidecar.contract.layout import RunLayout, WorkspaceLayout, new_run_id

if TYPE_CHECKING:
    from runner.store.snapshots import Snapshot

_logger = logging.getLogger(__name__)


def begin(
    workspace: WorkspaceLayout,
    experiment_name: str,
    *,
    environ: Mapping[str, str],
    run_id: str | None = None,
    name: str | None = None,
    parent_run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
    source: str | None = None,
) -> RunRecord:
    """Creates a run that is Running from now on, and returns its record.

    `source` is a folder to take a snapshot of; one that is too large is left out with a warning. Raises UsageError,
    WorkspaceError.
    """
    from runner.store import git_state
    from runner.submission import create_folder, next_run_number

    workspaces.create(workspace)
    now = wiring.utc_now()
    chosen = run_id or new_run_id(experiment_name, epoch_s=int(now.timestamp()))
    if workspace.run(chosen).root.exists():
        raise UsageError(f"there is a run {chosen} already")
    snapshot = None if source is None else _snapshot(workspace, source, environ)
    properties = {} if snapshot is None else {"ContentSnapshotId": snapshot.id}
    if source is not None:
        properties.update(git_state.read(Path(source), environ))
    record = RunRecord(
        run_id=chosen,
        experiment_name=experiment_name,
        status=RunStatus.NOT_STARTED,
        created_utc=iso_utc(now),
        target="local",
        name=name or f"run_{chosen}",
        parent_run_id=parent_run_id,
        user_id=environ.get("USER") or environ.get("LOGNAME") or str(os.getuid()),
        run_number=next_run_number(workspace),
        tags=dict(tags or {}),
        properties=properties,
        snapshot=None
        if snapshot is None
        else {"id": snapshot.id, "file_count": snapshot.file_count, "size_bytes": snapshot.size_bytes},
        extra=marked({"pid": os.getpid()}, None),
    )
    record = with_status(record, RunStatus.RUNNING, at=now)
    create_folder(workspace, record)
    return record


def end(layout: RunLayout, status: RunStatus, error: str | None = None) -> RunRecord:
    """Gives an interactive run its status; one that has ended keeps the one that it has.

    `error` says why it failed. Raises UsageError for a run that a controller leads.
    """
    if has_controller(read_record(layout)):
        raise UsageError(f"{layout.root.name} was submitted: its own processes decide how it ends")

    def change(record: RunRecord) -> RunRecord:
        if record.status.is_terminal:
            return record
        ended = with_status(record, status, at=wiring.utc_now())
        return ended if error is None else dataclasses.replace(ended, failure=_failure(error, record.run_id))

    return update_record(layout, change)


def _failure(error: str, run_id: str) -> dict[str, object]:
    lines = error.splitlines()
    first = {
        "process_name": None,
        "node_id": None,
        "at": None,
        "kind": "exception",
        "exit_code": None,
        "signal": None,
        "exception": None,
        "traceback": None,
        "log": None,
        "last_lines": lines[-20:],
    }
    return {"first": first, "summary": lines[0] if lines else f"{run_id} failed", "others": []}


def _snapshot(workspace: WorkspaceLayout, source: str, environ: Mapping[str, str]) -> Snapshot | None:
    from runner.store.snapshots import Snapshots
    from runner.submission import SubmitOptions

    options = SubmitOptions.read(environ)
    try:
        return Snapshots(workspace.snapshots).take(
            Path(source),
            limit_bytes=options.snapshot_limit_bytes,
            limit_files=options.snapshot_limit_files,
            include_secrets=options.includes_secrets,
        )
    except SnapshotError as error:
        _logger.warning("no snapshot of %s was taken: %s", source, error.message)
        return None
