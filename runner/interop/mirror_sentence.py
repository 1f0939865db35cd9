"""How far the copy of a run on a user's MLflow server is, in one sentence for `runner status`."""

from __future__ import annotations

from runner.history.run_record import RunRecord
from runner.interop.mirror_state import MirrorState, read_state
from sidecar.contract import lock
from sidecar.contract.layout import RunLayout


def describe_mirror(run: RunLayout, record: RunRecord) -> str | None:
    """`all of it is at http://...`, or what is in the way; None for a run whose config names no server."""
    server = (record.request.get("mlflow") or {}).get("tracking_uri")
    if not server:
        return None
    state = read_state(run) or MirrorState()
    refused = f"; {state.refused_count} refused there, see {run.mirror.log}" if state.refused_count else ""
    if state.is_complete:
        return f"all of it is at {server}{refused}"
    is_at_work = lock.holder(run.mirror.lock) is not None
    if state.problem is not None:
        how = "is tried again" if is_at_work else f"runner mirror {record.run_id} tries it again"
        return f"behind: {state.problem}; {how}{refused}"
    if is_at_work or not record.status.is_terminal:
        return f"on its way to {server}{refused}"
    return f"not all of it is at {server}: runner mirror {record.run_id} goes on{refused}"
