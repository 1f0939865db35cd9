"""Hands a run to a controller: starts one, and waits until it holds the run."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from runner import wiring
from runner.errors import MachineError
from sidecar.contract import lock
from sidecar.contract.layout import RunLayout, WorkspaceLayout

if TYPE_CHECKING:
    import subprocess

    from runner.transports.ssh.authentication import Secrets

_HANDOVER_LIMIT_S = 10.0


def hand_over(workspace: WorkspaceLayout, run_id: str, run: RunLayout, secrets: Secrets | None = None) -> None:
    """Starts a controller and waits until it holds the run. Raises MachineError where none could be started.

    One that is killed before it holds the run is started again: whoever did that may have meant the one before.
    """
    deadline = time.monotonic() + _HANDOVER_LIMIT_S
    while True:
        process = wiring.start_controller(workspace, run_id, secrets)
        code = _wait_until_held(process, run, deadline)
        if code is None or code >= 0 or time.monotonic() >= deadline:
            break
    if code:
        from runner.history.controller_crash import read_crash

        crash = read_crash(run)
        why = f": {crash.message}" if crash is not None else ""
        raise MachineError(
            f"run {run_id} was created, but its controller ended at once{why}; see {run.controller_log}",
            hint=f"runner attach {run_id}",
        )


def _wait_until_held(process: subprocess.Popen[bytes], run: RunLayout, deadline: float) -> int | None:
    """The exit code of a controller that ended before anybody held the run; None once somebody does."""
    while time.monotonic() < deadline:
        if lock.holder(run.controller_lock) is not None:
            # Reaped when it ends, so that a notebook that submits a hundred runs keeps no zombies.
            threading.Thread(target=process.wait, name=f"controller-{process.pid}", daemon=True).start()
            return None
        if process.poll() is not None:
            break
        time.sleep(0.002)  # The condition is the lock above; this only keeps the core free between two looks.
    return process.poll()
