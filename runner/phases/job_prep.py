"""Job prep: the snapshot in the work folder, ports, the MPI found. Its log is `65_`."""

from __future__ import annotations

import string
from collections.abc import Mapping

from runner.errors import MachineError
from runner.phases import inputs, meeting_place
from runner.phases.phase import PhaseFailed, PhasePlan, RunContext, Stage
from sidecar.contract.orders import NodePlan, Verb

PHASE = "job prep"


def plan(context: RunContext) -> PhasePlan:
    """Where the snapshot goes, and how many ports each node reserves."""
    lines = []
    for node in context.nodes:
        ports = f", reserve {node.port_count} ports" if node.port_count else ""
        mpi = ", find the MPI" if node.wants_mpi else ""
        lines.append(f"{node.node_id}: lay out {_snapshot(node)}{ports}{mpi}")
    return PhasePlan(phase=PHASE, lines=(*inputs.lines(context), *lines))


def _snapshot(node: NodePlan) -> str:
    """`snapshot 1a2b3c4d5e6f`; before one was taken, only that it will be."""
    is_taken = all(letter in string.hexdigits for letter in node.snapshot_id)
    return f"snapshot {node.snapshot_id[:12]}" if is_taken else "the snapshot"


def run(context: RunContext, stage: Stage, sets: Mapping[str, str]) -> None:
    """Prepares every node; `sets` are the data sets that were sent, from `inputs.run`. Raises PhaseFailed."""
    _wait_shipped(stage)
    for node in stage.fleet:
        stage.say(node.node_id, "Starting job preparation")
    stage.step_everywhere(Verb.PREPARE, PHASE, body={"sets": dict(sets)})
    if context.request.distributed is not None:
        _meet(stage)


def _wait_shipped(stage: Stage) -> None:
    """Waits until every node that shares no folder with this machine has the snapshot.

    Not for one that was prepared under an earlier controller: it may be out of reach now.
    """
    shipping = [
        node for node in stage.fleet if node.shipment is not None and node.state.step(Verb.PREPARE.value) is None
    ]
    stage.fleet.wait(
        lambda: (
            all(node.shipment is None or node.shipment.is_complete for node in shipping)
            or any(node.refusal is not None or node.state.is_lost for node in shipping)
        )
    )
    for node in shipping:
        if node.refusal is not None:
            stage.say(node.node_id, f"{PHASE} failed: {node.refusal}")
            raise PhaseFailed(PHASE, node.refusal, node_id=node.node_id, hint="free some space there")
        if node.shipment is not None and node.shipment.sent_bytes:
            stage.say(node.node_id, f"Shipped {node.shipment.sent_bytes:,} bytes of the snapshot")


def _meet(stage: Stage) -> None:
    """Has the nodes find each other, so that what they start later can. Raises PhaseFailed for one that cannot be."""
    peers = meeting_place.peers(stage.fleet)
    if len(peers) < 2:
        return
    stage.step_everywhere(Verb.MEET, PHASE, body={"peers": peers})
    try:
        found = meeting_place.addresses(stage.fleet)
    except MachineError as error:
        raise PhaseFailed(PHASE, error.message, hint=error.hint) from error
    for node in stage.fleet:
        stage.say(node.node_id, f"The other nodes reach it at {found[node.node_id]}")
