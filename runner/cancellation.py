"""Asks for the end of a run and waits until it is true."""

from __future__ import annotations

import os
import time

from runner.errors import MachineError
from runner.history.run_record import RunRecord, read_record
from runner.history.status_watch import StatusWatch
from runner.submission import resume_if_orphaned
from sidecar.contract import bell, events, publish
from sidecar.contract.layout import WorkspaceLayout

# Beyond the grace: a controller to start, KILL rounds, outputs to collect. Then the person learns that it goes on.
_LIMIT_S = 120.0
_LOOK_S = 0.02


def request_cancel(workspace: WorkspaceLayout, run_id: str) -> bool:
    """Leaves the request where every controller of the run sees it; False where the run has ended already.

    Durable on return; asking twice is asking once.
    """
    run = workspace.run(run_id)
    if read_record(run).status.is_terminal:
        return False
    request = {"pid": os.getpid(), **events.stamp()}
    publish.create_once(run.cancel_request, publish.to_json(request))
    bell.ring(run.controller_bell)
    resume_if_orphaned(workspace, run_id)
    return True


def cancel(workspace: WorkspaceLayout, run_id: str) -> RunRecord:
    """Cancels the run and returns its record once it has ended. Raises MachineError where that takes too long."""
    request_cancel(workspace, run_id)
    watch = StatusWatch(workspace.run(run_id))
    grace_s = float((watch.read().extra.get("settings") or {}).get("stop_grace_s", 0.0))
    deadline = time.monotonic() + _LIMIT_S + grace_s
    while time.monotonic() < deadline:
        if watch.is_finished():
            return watch.read()
        resume_if_orphaned(workspace, run_id)
        time.sleep(_LOOK_S)  # The condition is the record's status above.
    raise MachineError(f"run {run_id} is still being canceled", hint=f"runner status {run_id}")
