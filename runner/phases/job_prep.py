"""Job prep: the snapshot in the work folder, ports, the MPI found. Its log is `65_`."""

from __future__ import annotations

from runner.phases.phase import PhasePlan, RunContext, Stage
from sidecar.contract.orders import Verb

PHASE = "job prep"


def plan(context: RunContext) -> PhasePlan:
    """Where the snapshot goes, and how many ports each node reserves."""
    lines = []
    for node in context.nodes:
        ports = f", reserve {node.port_count} ports" if node.port_count else ""
        mpi = ", find the MPI" if node.wants_mpi else ""
        lines.append(f"{node.node_id}: lay out snapshot {node.snapshot_id[:12]}{ports}{mpi}")
    return PhasePlan(phase=PHASE, lines=tuple(lines))


def run(context: RunContext, stage: Stage) -> None:
    """Prepares every node. Raises PhaseFailed."""
    for node in stage.fleet:
        stage.say(node.node_id, "Starting job preparation")
    stage.step_everywhere(Verb.PREPARE, PHASE)
