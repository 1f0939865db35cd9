"""Commands that meet a run whose controller was killed start one again, and say so."""

from __future__ import annotations

import sys

from sidecar.contract.layout import WorkspaceLayout


def resume_if_orphaned(workspace: WorkspaceLayout, run_id: str) -> None:
    """Starts a controller for a run that should have one and has none; one line on standard error tells."""
    from sidecar.contract import lock
    from sidecar.contract.layout import is_run_id

    if not is_run_id(run_id) and not workspace.run(run_id).record.exists():
        return
    if lock.holder(workspace.run(run_id).controller_lock) is not None:
        return
    from runner import submission

    if submission.resume_if_orphaned(workspace, run_id):
        sys.stderr.write(f"run {run_id} had lost its controller; a new one has taken over\n")
