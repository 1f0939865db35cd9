"""Secure: reaches every node, and has a supervisor running on it. Its log is `55_`."""

from __future__ import annotations

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
        # One that said why, before those that were only slower to answer.
        culprit = min(missing, key=lambda node: (node.refusal is None, node.problem is None))
        why = culprit.problem.message if culprit.problem else f"no answer within {_READY_LIMIT_S:.0f} s"
        stage.say(culprit.node_id, f"Not secured: {why}")
        raise PhaseFailed(
            PHASE,
            why,
            node_id=culprit.node_id,
            hint=f"look into {context.run.controller_log}, and at what runner doctor says",
        )
