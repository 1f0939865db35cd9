"""Secure: reaches every node, and has a supervisor running on it. Its log is `55_`."""

from __future__ import annotations

from collections.abc import Sequence

from runner.errors import MachineError
from runner.nodes.node import Node
from runner.phases.phase import PhaseFailed, PhasePlan, RunContext, Stage

PHASE = "secure"
# A node that is not there by then is named; on this machine an agent starts in a tenth of a second.
_READY_LIMIT_S = 60.0
# An agent that ends this often without a word will not speak the next time either.
_MUTE_LIMIT = 5


def plan(context: RunContext) -> PhasePlan:
    """Which nodes are reached, and how."""
    return PhasePlan(
        phase=PHASE,
        lines=tuple(
            f"{node.node_id}: {'reach it by SSH, ship the sidecar, ' if node.is_remote else ''}"
            f"start an agent and a supervisor on {node.address}"
            for node in context.nodes
        ),
    )


def run(context: RunContext, stage: Stage) -> None:
    """Opens every link at once and waits until all nodes have their plan. Raises PhaseFailed for a missing one."""
    for node in stage.fleet:
        stage.say(node.node_id, f"Securing node {node.node_id} for run {context.run_id}")
        node.open()
    stage.fleet.wait(
        lambda: (
            all(node.is_reached or node.state.is_lost for node in stage.fleet)
            or any(node.mute_link_count >= _MUTE_LIMIT or node.refusal is not None for node in stage.fleet)
        ),
        limit_s=_READY_LIMIT_S,
        heeds_cancel=False,
    )
    for node in stage.fleet:
        if node.is_reached and node.hello is not None:
            for note in node.link_notes:
                stage.say(node.node_id, note)
            stage.say(node.node_id, f"Agent answers: pid {node.hello['pid']}, Python {node.hello['python']}")
    missing = [node for node in stage.fleet if not node.is_reached]
    if missing:
        raise _failure(context, stage, missing)


def _failure(context: RunContext, stage: Stage, missing: Sequence[Node]) -> PhaseFailed:
    """Says in the log of every node that is missing why it is; names the one whose reason is the plainest."""
    # One that said why, before those that were only slower to answer.
    culprit = min(missing, key=lambda node: (node.refusal is None, node.problem is None))
    error = _reason(culprit, context)
    also = []
    for node in missing:
        if node is culprit or node.problem is not None:
            why = _reason(node, context)
            stage.say(node.node_id, f"Not secured: {why.message}; try: {why.hint}")
            also += [node.node_id] if node is not culprit else []
        else:
            stage.say(node.node_id, f"Not waited for any longer, because of {culprit.node_id}")
    beside = f"; nor can {', '.join(also)} be used" if also else ""
    return PhaseFailed(PHASE, f"{error.message}{beside}", node_id=culprit.node_id, hint=error.hint)


def _reason(node: Node, context: RunContext) -> MachineError:
    """Why the node is missing, with what to try: the reason's own hint, else where to look."""
    error = node.problem or MachineError(f"{node.node_id}: no answer within {_READY_LIMIT_S:.0f} s")
    if error.hint is not None:
        return error
    doctor = f"runner doctor {context.request.compute_target.name}" if node.plan.is_remote else "runner doctor"
    return MachineError(error.message, hint=f"{doctor}, and look into {context.run.controller_log}")
