"""Brings home what nodes have that share no folder with this machine, and says when all of it is there.

released --seal arrives--> sealed --outputs asked for, in the order of the nodes--> complete | differs | abandoned
"""

from __future__ import annotations

from runner.nodes.delivery import Delivery
from runner.nodes.node import Node
from runner.phases.phase import Stage
from sidecar.contract.orders import Verb
from sidecar.contract.travel import waits_for_release

# Looking costs a few microseconds a file that is still missing.
_LOOK_S = 0.02
_NAMED_FILES = 3


def collect(stage: Stage, nodes: list[Node]) -> dict[str, str]:
    """Waits until everything of `nodes` is here; returns what is wrong by node, nothing for those that are complete.

    A node that is out of reach is waited for, unless a person has said that it should not be.
    """
    deliveries = {node: node.delivery for node in nodes if node.delivery is not None}
    for node, delivery in deliveries.items():
        seal_sha256 = (node.state.step(Verb.RELEASE.value) or {}).get("seal")
        if isinstance(seal_sha256, str):
            delivery.expect(seal_sha256)
    stage.wait_unless_abandoned(list(deliveries), lambda node: deliveries[node].sealed is not None, look_s=_LOOK_S)
    _ask_for_outputs(deliveries)
    stage.wait_unless_abandoned(
        list(deliveries),
        lambda node: deliveries[node].is_complete() or deliveries[node].problem is not None,
        look_s=_LOOK_S,
    )
    problems = {}
    for node, delivery in deliveries.items():
        if delivery.problem is not None:
            problems[node.node_id] = delivery.problem
        elif not delivery.is_complete():
            missing = delivery.missing()
            what = f"{len(missing)} files, {missing[0]} the first" if missing else "its files"
            problems[node.node_id] = f"the node was given up before {what} had come"
        elif unreadable := delivery.unreadable():
            problems[node.node_id] = "; ".join(unreadable[:_NAMED_FILES])
    return problems


def _ask_for_outputs(deliveries: dict[Node, Delivery]) -> None:
    """The first node's file has a path; a file of another node with the same bytes need not come at all."""
    taken: dict[str, str] = {}
    for node, delivery in deliveries.items():
        outputs = {
            path: sealed.sha256
            for path, sealed in (delivery.sealed or {}).items()
            if waits_for_release(path) and sealed.link is None and sealed.problem is None
        }
        equal = {path for path, sha256 in outputs.items() if taken.get(path) == sha256}
        delivery.leave_out(equal)
        for path, sha256 in outputs.items():
            taken.setdefault(path, sha256)
        if node.intake is not None:
            unreadable = {path for path, sealed in (delivery.sealed or {}).items() if sealed.problem is not None}
            node.intake.open_outputs(but=equal | unreadable)
