"""Waits for the end of all processes, and carries the first failure of one node to the others."""

from __future__ import annotations

from runner.nodes.node import Node
from runner.phases.phase import Stage
from sidecar.contract import events
from sidecar.contract.orders import ORDER_NAMES, Verb


def wait_until_ended(stage: Stage) -> None:
    """Returns once every node has said that its processes ended. Raises CancelRequested."""

    def has_ended() -> bool:
        failed = first_failed(stage)
        if failed is not None:
            stop_everywhere(stage, events.REASON_FAILURE)
        return all(node.state.is_ended or _never_started(node, is_stopping=failed is not None) for node in stage.fleet)

    stage.fleet.wait(has_ended)


def _never_started(node: Node, *, is_stopping: bool) -> bool:
    """Whether the node was told to stop before it started anything: it has nothing to say an end of."""
    return is_stopping and node.state.is_stopped and not node.state.started


def first_failed(stage: Stage) -> Node | None:
    """A node on which a process has failed or a stop is under way; None while all is well."""
    for node in stage.fleet:
        if node.state.user_failures or any(
            record["reason"] != events.REASON_LEFT_BEHIND for record in node.state.stopping
        ):
            return node
    return None


def stop_everywhere(stage: Stage, reason: str) -> None:
    """Orders every node to stop its processes; a node that does so already, or has none, loses nothing by it."""
    for node in stage.fleet:
        if not node.state.is_ended:
            node.order(ORDER_NAMES[Verb.STOP], Verb.STOP, {"reason": reason, "grace_s": node.plan.stop_grace_s})
