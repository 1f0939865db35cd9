"""Gives a run a controller that has a person's secrets, in the place of one that has none or wrong ones.

Secrets live in the controller's memory only: when it dies they are gone, and a person has to give them again.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from runner import submission
from runner.errors import MachineError, UsageError
from runner.handover import hand_over
from runner.history.record_update import update_record
from runner.history.run_kind import has_controller
from runner.history.run_record import read_record
from runner.spec.compute import LOCAL
from sidecar.contract import identity, lock
from sidecar.contract.layout import WorkspaceLayout

if TYPE_CHECKING:
    from runner.transports.ssh.authentication import Secrets

_END_LIMIT_S = 10.0
_LOOK_S = 0.005


def take_over(workspace: WorkspaceLayout, run_id: str, secrets: Secrets) -> None:
    """Ends the run's controller, which harms nothing, and starts one with these secrets; nothing for an ended run.

    Raises UsageError for a run that logs in nowhere, MachineError where no controller can be started.
    """
    run = workspace.run(run_id)
    record = read_record(run)
    if record.status.is_terminal:
        return
    if not has_controller(record) or record.request["compute_target"]["type"] == LOCAL:
        raise UsageError(f"run {run_id} runs on this machine: it needs no password")
    update_record(run, lambda on_disk: submission.with_secrets(on_disk, secrets))
    holder = lock.holder(run.controller_lock)
    if holder is not None:
        _end(holder)
    hand_over(workspace, run_id, run, secrets)


def _end(controller: identity.ProcessIdentity) -> None:
    deadline = time.monotonic() + _END_LIMIT_S
    number = signal.SIGTERM
    while identity.is_alive(controller):
        if time.monotonic() > deadline:
            raise MachineError(f"the run's controller (pid {controller.pid}) does not end")
        try:
            os.kill(controller.pid, number)
        except ProcessLookupError:
            return
        except PermissionError as error:
            raise MachineError(
                f"the run's controller (pid {controller.pid}) belongs to another user", hint="ask them"
            ) from error
        number = signal.SIGKILL
        time.sleep(_LOOK_S)  # The condition is the process above.
