"""Puts the parts together: the only file that knows which transport, which folders and which clock a run uses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import MachineError
from runner.history.run_record import RunRecord, read_record
from sidecar import contract
from sidecar.contract import bell, lock, settings
from sidecar.contract.layout import WorkspaceLayout, local_node_id

if TYPE_CHECKING:
    from runner.nodes.fleet import Fleet
    from runner.phases.phase import RunContext
    from runner.spec.request import RunRequest
    from sidecar.contract.orders import NodePlan

_LOOPBACK = "127.0.0.1"


def utc_now() -> datetime:
    """The clock of everything that is not a test."""
    return datetime.now(timezone.utc)


def bundle_folder() -> Path:
    """The folder that holds the packages `runner` and `sidecar`."""
    return Path(contract.__file__).parents[2]


def node_ids(request: RunRequest) -> tuple[str, ...]:
    """The ids of the nodes that the request asks for."""
    return tuple(local_node_id(number) for number in range(request.node_count))


def make_context(workspace: WorkspaceLayout, record: RunRecord) -> RunContext:
    """All that deciding needs for the run in `record`. Raises MachineError for a target that cannot be run on yet."""
    from runner.phases.phase import RunContext
    from runner.spec.request import RunRequest

    request = RunRequest.from_record(record.request)
    check_target(request)
    return RunContext(
        run_id=record.run_id,
        request=request,
        run=workspace.run(record.run_id),
        nodes=tuple(_node_plan(workspace, record, request, rank) for rank in range(len(record.nodes))),
        node_folders={node_id: str(workspace.node(node_id, record.run_id).root) for node_id in record.nodes},
        is_root=os.geteuid() == 0,
    )


def check_target(request: RunRequest) -> None:
    """Raises MachineError where this version cannot run on what the request names."""
    from runner.spec.compute import LocalTarget

    if not isinstance(request.compute_target, LocalTarget):
        raise MachineError("compute targets of type ssh cannot be run on yet", hint="compute_target: local")
    if request.docker.use_docker:
        raise MachineError("jobs in Docker cannot be run yet", hint="docker_runtime_config: {use_docker: false}")


def _node_plan(workspace: WorkspaceLayout, record: RunRecord, request: RunRequest, rank: int) -> NodePlan:
    from runner.launchers.launch import port_count
    from runner.spec.request import MpiSpec
    from sidecar.contract.orders import NodePlan

    chosen: Mapping[str, Any] = record.extra["settings"]
    node_count = len(record.nodes)
    return NodePlan(
        run_id=record.run_id,
        experiment_name=record.experiment_name,
        node_id=record.nodes[rank],
        node_rank=rank,
        node_count=node_count,
        run_root=str(workspace.run(record.run_id).root),
        bundle=str(bundle_folder()),
        address=_LOOPBACK,
        snapshot_store=str(workspace.snapshots),
        snapshot_id=str((record.snapshot or {})["id"]),
        environment=dict(record.extra["environment_spec"]),
        environment_cache=str(workspace.environments),
        environment_variables=dict(request.environment.environment_variables),
        stop_grace_s=float(chosen["stop_grace_s"]),
        max_run_duration_s=request.max_run_duration_seconds,
        port_count=port_count(request, rank, node_count),
        wants_mpi=isinstance(request.distributed, MpiSpec),
    )


def start_controller(workspace: WorkspaceLayout, run_id: str) -> subprocess.Popen[bytes]:
    """Starts a controller in a session of its own: closing the terminal, or Ctrl-C, does not reach it."""
    run = workspace.run(run_id)
    environ = {**os.environ, settings.WORKSPACE: str(workspace.root)}
    with open(run.controller_log, "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "runner", "controller", run_id],
            cwd=bundle_folder(),
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def run_controller(workspace: WorkspaceLayout, run_id: str) -> bool:
    """Takes the run to its end in this process; False where another controller has it."""
    from runner.controller import Controller
    from runner.nodes.fleet import Fleet

    run = workspace.run(run_id)
    held = lock.take(run.controller_lock)
    if held is None:
        return False
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    record = read_record(run)
    if record.status.is_terminal:
        return True
    context = make_context(workspace, record)
    fleet = Fleet()
    _attach_nodes(fleet, workspace, context)
    _listen_to_bell(run.controller_bell, fleet.notify)
    try:
        Controller(context, fleet, clock=utc_now).run()
    finally:
        fleet.close()
        held.close()
    return True


def _attach_nodes(fleet: Fleet, workspace: WorkspaceLayout, context: RunContext) -> None:
    from runner.nodes.node import Node
    from runner.transports.local import LocalTransport

    nodes = []
    for plan in context.nodes:
        journal = context.run.node_events(plan.node_id)
        journal.parent.mkdir(parents=True, exist_ok=True)
        transport = LocalTransport(
            run_id=context.run_id,
            node_id=plan.node_id,
            node_root=workspace.node(plan.node_id, context.run_id).root,
            bundle=Path(plan.bundle),
            log=context.run.controller_log,
        )
        nodes.append(Node(plan, transport, journal, fleet.notify))
    fleet.nodes = tuple(nodes)


def _listen_to_bell(path: Path, ring: Callable[[], None]) -> None:
    descriptor = bell.hang(path)
    os.set_blocking(descriptor, True)

    def listen() -> None:
        while os.read(descriptor, 4096):
            ring()

    threading.Thread(target=listen, name="bell", daemon=True).start()
