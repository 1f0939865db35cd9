"""Chooses the address at which each node is reached by all the others, from what the nodes tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from runner.errors import MachineError
from runner.nodes.node import Node
from sidecar.contract.orders import Verb


def peers(nodes: Iterable[Node]) -> list[dict[str, Any]]:
    """Where each node listens, as the order to meet has it; empty where the nodes need not look for each other."""
    found = []
    for node in nodes:
        prepared = node.state.step(Verb.PREPARE.value) or {}
        if prepared.get("meeting_port"):
            port, addresses = prepared["meeting_port"], list(prepared["addresses"])
            found.append({"node_id": node.node_id, "addresses": addresses, "port": port})
    return found


def addresses(nodes: Iterable[Node]) -> dict[str, str]:
    """The address of each node that met the others; nodes of this machine are not in it.

    Raises MachineError that names the first node that another cannot reach, and what was tried.
    """
    all_nodes = list(nodes)
    met = {node.node_id: node.state.step(Verb.MEET.value) for node in all_nodes}
    return {
        peer["node_id"]: _address_of(peer, {name: step for name, step in met.items() if step is not None})
        for peer in peers(all_nodes)
        if met.get(peer["node_id"]) is not None
    }


def _address_of(peer: Mapping[str, Any], met: Mapping[str, Mapping[str, Any]]) -> str:
    wanted = str(peer["node_id"])
    common = list(peer["addresses"])
    for other, step in met.items():
        if other == wanted:
            continue
        reached = step["reached"].get(wanted, [])
        if not reached:
            tried = "; ".join(f"{ip}: {why}" for ip, why in step["failed"].get(wanted, {}).items())
            raise MachineError(
                f"{other} cannot reach {wanted} ({tried or 'it has no address but the loopback'})",
                hint="the nodes of one job must be able to open TCP connections to each other",
            )
        common = [ip for ip in common if ip in reached]
    if not common:
        raise MachineError(
            f"{wanted} has no address at which every other node reaches it",
            hint="put the nodes on one network, or run on those that share one",
        )
    return str(common[0])
