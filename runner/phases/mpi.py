"""MPI: starts the MPI's own launcher on the first node, its helpers on every node, and waits for the ranks' end.

Logs are `70_driver_log_<n>` for the ranks and `70_mpi_log` for what the MPI itself prints.
"""

from __future__ import annotations

from typing import Any

from runner.launchers import mpi
from runner.launchers.launch import what_runs
from runner.launchers.placement import place
from runner.phases.ending import first_failed, wait_until_ended
from runner.phases.phase import PhaseFailed, PhasePlan, RunContext, Stage
from sidecar.contract.orders import MPI_HELPERS_ORDER, ORDER_NAMES, Verb

PHASE = "mpi"


def plan(context: RunContext) -> PhasePlan:
    """Which rank runs on which node."""
    lines = [f"{context.nodes[0].node_id}: the MPI launcher of the job's environment"]
    what = what_runs(context.request)
    for placement in place(context.request):
        node_id = context.nodes[placement.node_rank].node_id
        lines.append(f"{node_id}: {placement.name} runs {what} -> {placement.log}")
    return PhasePlan(phase=PHASE, lines=tuple(lines))


def run(context: RunContext, stage: Stage) -> None:
    """Starts the launcher and its helpers and waits until all have ended; failures are in the nodes' states.

    Raises PhaseFailed where the launcher wants something else than one helper a node.
    """
    nodes = list(stage.fleet)
    ready = stage.ready_nodes()
    prepared = nodes[0].state.step(Verb.PREPARE.value)
    assert prepared is not None, "MPI comes after job preparation"
    found = mpi.found_mpi(prepared["mpi"])
    launcher = mpi.launcher(
        context.request,
        ready,
        found,
    )
    stage.say(nodes[0].node_id, f"Starting the launcher of {found.flavour} {found.version}: {found.mpiexec}")
    body: dict[str, Any] = {
        "processes": [launcher.to_record()],
        "mpi": {"flavour": found.flavour, "host_names": mpi.host_names(ready)},
    }
    nodes[0].order(ORDER_NAMES[Verb.START], Verb.START, body)
    stage.fleet.wait(lambda: nodes[0].state.launches is not None or first_failed(stage) is not None)
    if nodes[0].state.launches is not None:
        _start_helpers(context, stage, found)
    wait_until_ended(stage, ranks=frozenset(placement.name for placement in place(context.request)))


def _start_helpers(context: RunContext, stage: Stage, found: mpi.FoundMpi) -> None:
    nodes = list(stage.fleet)
    ready = stage.ready_nodes()
    launches = nodes[0].state.launches
    assert launches is not None, "waited for"
    if len(launches) != len(nodes):
        raise PhaseFailed(PHASE, f"the MPI launcher wants {len(launches)} helpers for {len(nodes)} nodes")
    started = mpi.helpers(ready, launches, found)
    for node, facts, specs in zip(nodes, ready, started, strict=True):
        stage.say(node.node_id, f"Starting {len(place(context.request)) // len(nodes)} ranks")
        node.order(
            MPI_HELPERS_ORDER,
            Verb.START,
            {"processes": [spec.to_record() for spec in specs], "ranks": mpi.ranks(context.request, facts)},
        )
