"""Puts the parts together: the only file that knows which transport, which folders and which clock a run uses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import NoSuchRunError
from runner.history.run_record import RunRecord, read_record
from sidecar import contract
from sidecar.contract import bell, lock, settings
from sidecar.contract.layout import RunLayout, WorkspaceLayout, local_node_id

if TYPE_CHECKING:
    from runner.containers.housing import Housing
    from runner.containers.node_house import NodeHouse
    from runner.nodes.claims import Claims
    from runner.nodes.fleet import Fleet
    from runner.nodes.node import Node
    from runner.phases.phase import RunContext
    from runner.spec.compute import SshTarget
    from runner.spec.request import RunRequest
    from runner.transports.ssh.authentication import Secrets
    from runner.transports.ssh.ssh import SshAccess
    from sidecar.contract.orders import NodePlan

_LOOPBACK = "127.0.0.1"
# A run's folder that is away for less may be on its way back: a file system that is mounted again.
_REMOVED_AFTER_S = 5.0
# `rm -rf` of a whole run takes less between its first file and its record; longer only delays a fresh start.
_REMOVING_S = 1.0
# The option by which a controller knows that secrets wait on its standard input.
SECRETS_ON_STDIN = "--secrets-on-stdin"


def utc_now() -> datetime:
    """The clock of everything that is not a test."""
    return datetime.now(timezone.utc)


def bundle_folder() -> Path:
    """The folder that holds the packages `runner` and `sidecar`."""
    return Path(contract.__file__).parents[2]


def node_ids(request: RunRequest) -> tuple[str, ...]:
    """The ids of the nodes that the request asks for: of machines, the first of the target."""
    from runner.spec.compute import LocalTarget

    target = request.compute_target
    if isinstance(target, LocalTarget):
        return tuple(local_node_id(number) for number in range(request.node_count))
    return tuple(node.name for node in target.nodes[: request.node_count])


def make_context(workspace: WorkspaceLayout, record: RunRecord) -> RunContext:
    """All that deciding needs for the run in `record`."""
    from runner.phases.phase import RunContext
    from runner.spec.compute import LocalTarget
    from runner.spec.request import RunRequest

    request = RunRequest.from_record(record.request)
    target = request.compute_target
    if isinstance(target, LocalTarget):
        folders = {node_id: str(workspace.node(node_id, record.run_id).root) for node_id in record.nodes}
    else:
        work = WorkspaceLayout(Path(target.work_directory))
        folders = {node_id: str(work.node(node_id, record.run_id).root) for node_id in record.nodes}
    return RunContext(
        run_id=record.run_id,
        request=request,
        run=workspace.run(record.run_id),
        nodes=tuple(_node_plan(workspace, record, request, rank) for rank in range(len(record.nodes))),
        node_folders=folders,
        contact_limit_s=record.extra["settings"].get("contact_limit_s"),
    )


def _node_plan(workspace: WorkspaceLayout, record: RunRecord, request: RunRequest, rank: int) -> NodePlan:
    from runner.launchers.launch import port_count
    from runner.spec.compute import LocalTarget
    from runner.spec.request import MpiSpec
    from sidecar.contract.orders import NodePlan

    chosen: Mapping[str, Any] = record.extra["settings"]
    node_count = len(record.nodes)
    target = request.compute_target
    is_remote = not isinstance(target, LocalTarget)
    # On a machine of its own all paths begin at its work directory, which only it knows.
    place = WorkspaceLayout(Path()) if is_remote else workspace
    node = place.node(record.nodes[rank], record.run_id)
    return NodePlan(
        run_id=record.run_id,
        experiment_name=record.experiment_name,
        node_id=record.nodes[rank],
        node_rank=rank,
        node_count=node_count,
        run_root=str(node.copy if is_remote else workspace.run(record.run_id).root),
        bundle="" if is_remote else str(bundle_place(workspace, request)),
        address=_LOOPBACK if isinstance(target, LocalTarget) else target.nodes[rank].address,
        snapshot_store=str(place.snapshots),
        snapshot_id=str((record.snapshot or {})["id"]),
        environment=dict(record.extra["environment_spec"]),
        environment_cache=str(place.environments),
        environment_variables={**_option_variables(request), **request.environment.environment_variables},
        stop_grace_s=float(chosen["stop_grace_s"]),
        max_run_duration_s=request.max_run_duration_seconds,
        port_count=port_count(request, rank, node_count),
        wants_mpi=isinstance(request.distributed, MpiSpec),
        is_remote=is_remote,
        is_contained=request.docker.use_docker,
        about=_about(workspace, record),
        data=request.data.to_plan(),
    )


def _about(workspace: WorkspaceLayout, record: RunRecord) -> dict[str, Any]:
    """What the job may know of its run wherever it runs."""
    from runner.store.workspace import WORKSPACE_FOLDER

    root = workspace.root.absolute()
    return {
        "display_name": record.name,
        "description": record.description,
        "run_number": record.run_number,
        "target": record.target,
        "parent_run_id": record.parent_run_id,
        "tags": dict(record.tags),
        "properties": dict(record.properties),
        "environment": record.request.get("environment"),
        "run_definition": {key: record.request.get(key) for key in ("script", "arguments", "command")},
        "workspace": {"name": (root.parent if root.name == WORKSPACE_FOLDER else root).name},
    }


def _option_variables(request: RunRequest) -> dict[str, str]:
    """What a person wrote as `-e NAME=value` for docker; the engine is not told of it."""
    if not request.docker.use_docker:
        return {}
    from runner.containers.options import read_options

    return read_options(request.docker.arguments, dict(os.environ)).variables


def bundle_place(workspace: WorkspaceLayout, request: RunRequest) -> Path:
    """The folder in which a node of this machine finds the package `sidecar`: containers mount one of its own."""
    if not request.docker.use_docker:
        return bundle_folder()
    from runner.containers import bundle_folder as contained

    return contained.bundle_place(workspace)


def start_controller(
    workspace: WorkspaceLayout, run_id: str, secrets: Secrets | None = None
) -> subprocess.Popen[bytes]:
    """Starts a controller in a session of its own: closing the terminal, or Ctrl-C, does not reach it.

    `secrets` go through a pipe, to be read with `run_controller`.
    """
    run = workspace.run(run_id)
    run.state.mkdir(mode=0o700, exist_ok=True)
    environ = {**os.environ, settings.WORKSPACE: str(workspace.root)}
    with open(run.controller_log, "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "runner", "controller", run_id, *([] if secrets is None else [SECRETS_ON_STDIN])],
            cwd=bundle_folder(),
            env=environ,
            stdin=subprocess.DEVNULL if secrets is None else subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    if process.stdin is not None and secrets is not None:
        from runner.transports.ssh.handing import write_secrets

        write_secrets(process.stdin, secrets)
    return process


def run_controller(workspace: WorkspaceLayout, run_id: str, *, has_secrets: bool = False) -> bool:
    """Takes the run to its end in this process; False where another controller has it.

    `has_secrets`: what logins need is read from standard input first.
    """
    run = workspace.run(run_id)
    secrets = read_secrets() if has_secrets else None
    alone = lock.hold_folder(run.root)
    if alone is None:
        return False
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    try:
        while (is_led := _lead(workspace, run, secrets)) is None:
            pass
        return is_led
    finally:
        alone.close()


def _lead(workspace: WorkspaceLayout, run: RunLayout, secrets: Secrets | None) -> bool | None:
    """`run_controller`, until somebody removes what controllers keep of the run: None then, and one begins anew."""
    from runner import mirroring
    from runner.history.controller_crash import note_crash
    from runner.history.state_loss import has_lost_state, note_lost_state
    from runner.nodes.fleet import Fleet

    run.state.mkdir(mode=0o700, exist_ok=True)
    held = lock.take(run.controller_lock)
    if held is None:
        return False
    fleet = Fleet()
    try:
        record = note_lost_state(run, read_record(run))
        if record.status.is_terminal:
            return True
        context = make_context(workspace, record)
        mirroring.start(workspace, record)
        housing = _make_housing(workspace, context, record)
        _attach_nodes(fleet, workspace, context, secrets, has_begun=record.start_time_utc is not None)
        _listen_to_bell(run.controller_bell, fleet.notify)
        _drive(context, fleet, housing, _make_node_house(workspace, context, record))
        mirroring.start(workspace, record)  # Where it was killed meanwhile.
    except Exception as error:  # The door of this process: whoever waits for the run is told.
        if has_lost_state(run):
            return None
        note_crash(run, error)
        raise
    finally:
        fleet.close()
        held.close()
    return True


def _make_housing(workspace: WorkspaceLayout, context: RunContext, record: RunRecord) -> Housing | None:
    """What a job in Docker on this machine needs; None for any other."""
    if not context.request.docker.use_docker or context.nodes[0].is_remote:
        return None
    from runner.containers.bundle_folder import lay_out
    from runner.containers.crew import Berth
    from runner.containers.housing import Housing
    from runner.containers.recipe import Recipe

    lay_out(Path(context.nodes[0].bundle))
    return Housing(
        workspace,
        context.run,
        [Berth(plan, workspace.node(plan.node_id, context.run_id)) for plan in context.nodes],
        recipe=Recipe.from_record(record.extra["image_recipe"]),
        docker=context.request.docker,
        environ=os.environ,
    )


def _make_node_house(workspace: WorkspaceLayout, context: RunContext, record: RunRecord) -> NodeHouse | None:
    """What a job in Docker on other machines needs; None for any other."""
    if not context.nodes[0].has_steward:
        return None
    from runner.containers.node_house import NodeHouse
    from runner.containers.recipe import Recipe

    recipe, docker = Recipe.from_record(record.extra["image_recipe"]), context.request.docker
    return NodeHouse(workspace, context.run, context.nodes[0], recipe=recipe, docker=docker, environ=os.environ)


def _drive(context: RunContext, fleet: Fleet, housing: Housing | None, node_house: NodeHouse | None) -> None:
    """Takes the run to its end; while the disk is full it waits, and then goes on as a new controller would."""
    from runner.controller import Controller
    from runner.nodes.intake import DISK_FULL
    from runner.nodes.node import DISK_PAUSE_S
    from runner.phases import job_release

    while True:
        try:
            Controller(context, fleet, clock=utc_now, housing=housing, node_house=node_house).run()
            return
        except (OSError, NoSuchRunError) as error:
            is_full = isinstance(error, OSError) and error.errno in DISK_FULL
            if not context.run.controller_lock.exists():
                time.sleep(_REMOVING_S)
            if not is_full and context.run.record.exists():
                raise
            time.sleep(DISK_PAUSE_S)
            if _is_removed(context.run):
                job_release.abandon(fleet)
                return


def _is_removed(run: RunLayout) -> bool:
    """Whether the run's record is gone, and stays gone for a while."""
    deadline = time.monotonic() + _REMOVED_AFTER_S
    while not run.record.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    return not run.record.exists()


def read_secrets() -> Secrets:
    """What logins need, as `start_controller` hands it to a controller: from standard input."""
    from runner.transports.ssh.handing import read_secrets

    return read_secrets(sys.stdin.buffer)


def _attach_nodes(
    fleet: Fleet, workspace: WorkspaceLayout, context: RunContext, secrets: Secrets | None, *, has_begun: bool
) -> None:
    from runner.nodes.claims import Claims
    from runner.spec.compute import LocalTarget

    claims = Claims(context.run, context.nodes[0].node_id)
    target = context.request.compute_target
    access = None if isinstance(target, LocalTarget) else make_access(workspace, target, secrets)
    nodes = []
    for plan in context.nodes:
        context.run.node_events(plan.node_id).parent.mkdir(parents=True, exist_ok=True)
        if access is None:
            nodes.append(_local_node(workspace, context, plan, fleet))
        else:
            nodes.append(_ssh_node(workspace, context, plan, fleet, access, claims))
    for node in nodes:
        node.has_begun = has_begun
    fleet.nodes = tuple(nodes)


def _local_node(workspace: WorkspaceLayout, context: RunContext, plan: NodePlan, fleet: Fleet) -> Node:
    from runner.nodes.node import Node
    from runner.transports.local import LocalTransport

    transport = LocalTransport(
        run_id=context.run_id,
        node_id=plan.node_id,
        node_root=workspace.node(plan.node_id, context.run_id).root,
        bundle=Path(plan.bundle),
        log=context.run.controller_log,
    )
    return Node(plan, transport, context.run.node_events(plan.node_id), fleet.notify)


def _ssh_node(
    workspace: WorkspaceLayout,
    context: RunContext,
    plan: NodePlan,
    fleet: Fleet,
    access: SshAccess,
    claims: Claims,
) -> Node:
    from runner.nodes.delivery import Delivery
    from runner.nodes.intake import Intake
    from runner.nodes.node import Node
    from runner.nodes.shipment import Shipment
    from runner.transports.ssh.ssh import SshTransport

    argv = ("agent", plan.run_id, "--node", plan.node_id)
    intake = Intake(context.run, plan.node_id, claims)
    return Node(
        plan,
        SshTransport(access=access, node=access.target.nodes[plan.node_rank], argv=argv),
        context.run.node_events(plan.node_id),
        fleet.notify,
        intake=intake,
        delivery=Delivery(context.run, plan.node_id, intake),
        shipment=Shipment(workspace.snapshots, plan.snapshot_id),
        contact_file=context.run.node_contact(plan.node_id),
        clock_file=context.run.node_clock(plan.node_id),
        contact_limit_s=context.contact_limit_s,
    )


def make_access(workspace: WorkspaceLayout, target: SshTarget, secrets: Secrets | None = None) -> SshAccess:
    """How the machines of `target` are reached: as the person's own ssh would, and with the workspace's host keys."""
    from runner.transports.ssh.authentication import NO_SECRETS
    from runner.transports.ssh.ssh import ssh_access

    return ssh_access(target, workspace, os.environ, secrets=secrets or NO_SECRETS)


def _listen_to_bell(path: Path, ring: Callable[[], None]) -> None:
    descriptor = bell.hang(path)
    os.set_blocking(descriptor, True)

    def listen() -> None:
        while os.read(descriptor, 4096):
            ring()

    threading.Thread(target=listen, name="bell", daemon=True).start()
