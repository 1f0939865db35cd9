"""Commands that meet a run whose controller was killed start one again, and say so."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from sidecar.contract.layout import RunLayout, WorkspaceLayout

if TYPE_CHECKING:
    from runner.history.run_record import RunRecord


def resume_if_orphaned(workspace: WorkspaceLayout, run_id: str) -> None:
    """Starts a controller for a run that should have one and has none; one line on standard error tells."""
    from sidecar.contract import lock
    from sidecar.contract.layout import is_run_id

    if not is_run_id(run_id) and not workspace.run(run_id).record.exists():
        return
    if lock.holder(workspace.run(run_id).controller_lock) is not None:
        return
    from runner import submission
    from runner.history.run_record import read_record

    if submission.resume_if_orphaned(workspace, run_id):
        sys.stderr.write(f"run {run_id} had lost its controller; a new one has taken over\n")
        return
    wish = missing_secrets(workspace.run(run_id), read_record(workspace.run(run_id)))
    if wish is not None:
        sys.stderr.write(f"runner: {wish}\n")


def missing_secrets(run: RunLayout, record: RunRecord) -> str | None:
    """A sentence for a run that waits for a person's password; None for one that has what it needs."""
    from runner.submission import needed_secrets
    from sidecar.contract import lock

    needed = needed_secrets(record)
    if not needed or record.status.is_terminal or lock.holder(run.controller_lock) is not None:
        return None
    options = " ".join(f"--ask-{name}" for name in needed)
    return (
        f"nobody controls run {record.run_id}: a new controller needs the {' and the '.join(needed)}; "
        f"the processes go on, but nothing of them is seen here until: runner attach {options} {record.run_id}"
    )
