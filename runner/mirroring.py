"""Starts and takes up the copying of runs to a user's MLflow server; nobody waits for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import MachineError, RunnerError, UsageError
from runner.history.run_record import RunRecord, read_record
from sidecar import contract
from sidecar.contract import lock, settings
from sidecar.contract.layout import WorkspaceLayout

if TYPE_CHECKING:
    from runner.spec.mlflow_mirror import MirrorSpec


def start(workspace: WorkspaceLayout, record: RunRecord) -> None:
    """Starts what copies the run to the server that its config names, in a session of its own; nothing without one."""
    run = workspace.run(record.run_id)
    if not record.request.get("mlflow") or lock.holder(run.mirror.lock) is not None:
        return
    try:
        with open(run.mirror.log, "ab") as log:
            subprocess.Popen(
                [sys.executable, "-m", "runner", "mirror", record.run_id],
                cwd=Path(contract.__file__).parents[2],
                env={**os.environ, settings.WORKSPACE: str(workspace.root)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
            )
    except OSError:  # No process, no room: the next mirrored run, or `runner mirror RUN`, copies it.
        pass


def copy(workspace: WorkspaceLayout, run_id: str) -> str:
    """Copies the run, then others whose copying was left; the server's address once all of it is there.

    Raises UsageError where the config names no server, MachineError where it could not be done.
    """
    spec = _spec(workspace, run_id)
    if spec is None:
        raise UsageError(f"the config of run {run_id} names no MLflow server", hint="mlflow: {tracking_uri: ...}")
    _copy_one(workspace, run_id, spec)
    for other in _left(workspace):
        try:
            _copy_one(workspace, other, _spec(workspace, other), patience_s=0.0)
        except (RunnerError, OSError):
            pass  # Its own log says why, and the next one tries it again.
    return spec.tracking_uri


def _left(workspace: WorkspaceLayout) -> list[str]:
    """The runs that have ended and are not all there."""
    from runner.interop.mirror_state import read_state
    from runner.store.run_lookup import list_run_ids

    found = []
    for run_id in list_run_ids(workspace):
        state = read_state(workspace.run(run_id))
        try:
            if state is not None and not state.is_complete and read_record(workspace.run(run_id)).status.is_terminal:
                found.append(run_id)
        except RunnerError:
            pass  # A run that cannot be read.
    return found


def _spec(workspace: WorkspaceLayout, run_id: str) -> MirrorSpec | None:
    from runner.spec.request import MirrorSpec

    return MirrorSpec.from_record(read_record(workspace.run(run_id)).request.get("mlflow"))


def _copy_one(workspace: WorkspaceLayout, run_id: str, spec: MirrorSpec | None, **patience_s: float) -> None:
    from runner.interop.mirror import Mirror
    from runner.interop.mlflow_rest import MlflowServer

    run = workspace.run(run_id)
    held = lock.take(run.mirror.lock) if spec is not None else None
    if spec is None or held is None:
        holder = lock.holder(run.mirror.lock)
        raise MachineError(f"run {run_id} is being copied already" + (f" by process {holder.pid}" if holder else ""))

    def is_mine() -> bool:
        try:
            return os.stat(run.mirror.lock).st_ino == os.fstat(held.descriptor).st_ino
        except OSError:  # Somebody removed what is kept of the run; its controller starts another mirror.
            return False

    try:
        mirror = Mirror(run, spec, MlflowServer(spec.tracking_uri, os.environ), is_mine=is_mine)
        if not mirror.run(**patience_s):
            raise MachineError(
                f"run {run_id} is not all at {spec.tracking_uri}: {mirror.problem}; see {run.mirror.log}",
                hint=f"runner mirror {run_id}",
            )
    finally:
        held.close()
