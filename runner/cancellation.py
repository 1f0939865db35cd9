"""Asks for the end of a run and waits until it is true."""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path

from runner import interactive
from runner.errors import MachineError
from runner.history.controller_crash import CrashWatch
from runner.history.record_update import update_record
from runner.history.run_kind import has_controller
from runner.history.run_record import RunRecord, read_record, with_status
from runner.history.status import RunStatus
from runner.history.status_watch import StatusWatch
from runner.nodes.contact import LostContact, read_all_lost
from runner.submission import resume_if_orphaned
from sidecar.contract import bell, events, lock, publish
from sidecar.contract.layout import WorkspaceLayout

# Beyond the grace: a controller to start, KILL rounds, outputs to collect. Then the person learns that it goes on.
_LIMIT_S = 120.0
# Beyond the grace, for nodes that are out of reach. Shorter: a moment's hiccup ends the wait. Longer: the person waits.
AWAY_LIMIT_S = 30.0
_LOOK_FOR_LOST_S = 1.0
_LOOK_S = 0.02


def request_cancel(workspace: WorkspaceLayout, run_id: str) -> bool:
    """Leaves the request where every controller of the run sees it; False where the run has ended already.

    Durable on return; asking twice is asking once.
    """
    run = workspace.run(run_id)
    record = read_record(run)
    if record.status.is_terminal:
        return False
    if not has_controller(record):
        interactive.end(run, RunStatus.CANCELED)
        return True
    _leave(run.cancel_request, run.controller_bell)
    resume_if_orphaned(workspace, run_id)
    return True


def request_abandon(workspace: WorkspaceLayout, run_id: str) -> None:
    """Says that nobody waits any longer for nodes that are out of reach. Durable on return."""
    run = workspace.run(run_id)
    if not read_record(run).status.is_terminal:
        _leave(run.abandon_request, run.controller_bell)


def _leave(request: Path, controller_bell: Path) -> None:
    request.parent.mkdir(mode=0o700, exist_ok=True)
    publish.create_once(request, publish.to_json({"pid": os.getpid(), **events.stamp()}))
    bell.ring(controller_bell)


def cancel(
    workspace: WorkspaceLayout, run_id: str, *, is_abandoning: bool = False, away_limit_s: float = AWAY_LIMIT_S
) -> RunRecord:
    """Cancels the run and returns its record once it has ended; `is_abandoning`: without nodes that are out of reach.

    Raises MachineError where that takes too long, where controllers crash in vain (not when abandoning: then the run
    ends without one), or where nodes are out of reach `away_limit_s` after the grace.
    """
    run = workspace.run(run_id)
    crashes = CrashWatch(run)
    request_cancel(workspace, run_id)
    if is_abandoning:
        request_abandon(workspace, run_id)
    watch = StatusWatch(run)
    grace_s = float((watch.read().extra.get("settings") or {}).get("stop_grace_s", 0.0))
    started = time.monotonic()
    next_look = started + away_limit_s + grace_s
    while (now := time.monotonic()) < started + _LIMIT_S + grace_s:
        if watch.is_finished():
            return watch.read()
        if now >= next_look and not is_abandoning:
            next_look = now + _LOOK_FOR_LOST_S
            lost = read_all_lost(run, watch.read().nodes)
            if lost:
                raise _out_of_reach(run_id, lost)
        try:
            crashes.check()
        except MachineError as error:
            if not is_abandoning:
                raise
            return _end_without_controller(workspace, run_id, error)
        resume_if_orphaned(workspace, run_id)
        time.sleep(_LOOK_S)  # The condition is the record's status above.
    raise MachineError(f"run {run_id} is still being canceled", hint=f"runner status {run_id}")


def _end_without_controller(workspace: WorkspaceLayout, run_id: str, crash: MachineError) -> RunRecord:
    """Ends a run that no controller can bring to its end, so that a person is never left with one that never ends."""
    run = workspace.run(run_id)
    held = lock.take(run.controller_lock)
    if held is None:
        raise crash
    try:
        said = f"ended without its controller, and without asking its nodes: {crash.message}"

        def change(record: RunRecord) -> RunRecord:
            if record.status.is_terminal:
                return record
            census = {node_id: {"problem": "its controller failed; the node was not asked"} for node_id in record.nodes}
            told = dataclasses.replace(record, warnings=(*record.warnings, said), census=record.census or census)
            return with_status(told, RunStatus.CANCELED, at=datetime.now(timezone.utc))

        return update_record(run, change)
    finally:
        held.close()


def _out_of_reach(run_id: str, lost: Mapping[str, LostContact]) -> MachineError:
    now = datetime.now(timezone.utc)
    away = "; ".join(f"{node_id}: {contact.sentence(node_id, now)}" for node_id, contact in sorted(lost.items()))
    return MachineError(
        f"run {run_id} is being canceled, but cannot end without nodes that are out of reach: {away}. What runs there "
        "is stopped as soon as they answer: the run's controller goes on trying in the background",
        hint=f"runner status {run_id}; or, not to wait for them: runner cancel {run_id} --abandon",
    )
