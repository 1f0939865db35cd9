"""Waits for the end of all processes, and carries the first failure of one node to the others."""

from __future__ import annotations

import time

from runner.nodes.node import Node
from runner.phases.phase import Stage
from sidecar.contract import events
from sidecar.contract.orders import ORDER_NAMES, Verb

# A launcher ends within milliseconds of its last rank, on a slow network within a second.
_LINGER_S = 5.0


def wait_until_ended(stage: Stage, *, ranks: frozenset[str] = frozenset()) -> None:
    """Returns once every node has said that its processes ended. Raises CancelRequested.

    `ranks` are all that a launcher waits for. It waits longer where a rank left something in the background that holds
    its pipes: that is then ended as what other scripts leave behind.
    """
    done_at: float | None = None

    def has_ended() -> bool:
        nonlocal done_at
        failed = first_failed(stage)
        if failed is not None:
            stop_everywhere(stage, events.REASON_FAILURE)
        elif ranks and ranks <= {name for node in stage.fleet for name in node.state.exited}:
            done_at = done_at or time.monotonic()
            if time.monotonic() - done_at > _LINGER_S:
                stop_everywhere(stage, events.REASON_LEFT_BEHIND)
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
