"""Driver: starts the user's processes without MPI, and waits for their end. Logs are `70_driver_log*`."""

from __future__ import annotations

from runner.launchers import single, tensorflow, torch
from runner.launchers.launch import what_runs
from runner.launchers.placement import place
from runner.phases.ending import wait_until_ended
from runner.phases.phase import PhasePlan, RunContext, Stage
from runner.spec.request import PyTorchSpec, TensorflowSpec
from sidecar.contract.orders import ORDER_NAMES, Verb

PHASE = "driver"


def plan(context: RunContext) -> PhasePlan:
    """Which process runs on which node."""
    what = what_runs(context.request)
    return PhasePlan(
        phase=PHASE,
        lines=tuple(
            f"{context.nodes[placement.node_rank].node_id}: {placement.name} runs {what} -> {placement.log}"
            for placement in place(context.request)
        ),
    )


def run(context: RunContext, stage: Stage) -> None:
    """Starts every process and waits until all have ended; failures are in the nodes' states, not raised."""
    distributed = context.request.distributed
    make = single.processes
    if isinstance(distributed, PyTorchSpec):
        make = torch.processes
    elif isinstance(distributed, TensorflowSpec):
        make = tensorflow.processes
    nodes = list(stage.fleet)
    for node, specs in zip(nodes, make(context.request, stage.ready_nodes()), strict=True):
        stage.say(node.node_id, f"Starting {', '.join(spec.name for spec in specs)}")
        node.order(ORDER_NAMES[Verb.START], Verb.START, {"processes": [spec.to_record() for spec in specs]})
    wait_until_ended(stage)
