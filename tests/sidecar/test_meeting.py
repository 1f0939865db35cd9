"""Nodes find the addresses at which they reach each other, and say what is wrong with the others."""

from __future__ import annotations

import threading

from sidecar.meeting import Address, Listener, meet, order_addresses


def _peer(port: int, *ips: str) -> dict[str, object]:
    return {"node_id": "gpu02", "addresses": list(ips), "port": port}


def test_an_address_where_the_peer_listens_is_reached() -> None:
    """Any of 127.0.0.0/8 leads here."""
    listener = Listener()
    found = meet([_peer(listener.port, "127.0.0.1", "127.0.0.2")], [])
    listener.close()
    assert found == {"reached": {"gpu02": ["127.0.0.1", "127.0.0.2"]}, "failed": {"gpu02": {}}}


def test_an_address_that_this_node_has_too_is_not_tried() -> None:
    """docker0 has the same address on every machine."""
    own = [Address("docker0", "172.17.0.1", 16)]
    found = meet([_peer(1, "172.17.0.1")], own)
    assert found["failed"] == {"gpu02": {"172.17.0.1": "this node has that address too"}}


def test_nobody_there_is_said_with_its_reason() -> None:
    """A port that was just closed refuses."""
    listener = Listener()
    listener.close()
    found = meet([_peer(listener.port, "127.0.0.1")], [], patience_s=0)
    assert found["failed"] == {"gpu02": {"127.0.0.1": "Connection refused"}}


def test_the_address_that_ssh_used_comes_first() -> None:
    """Where the node does not have it itself (a forwarded port), its own come in their order."""
    own = [Address("eth0", "10.0.0.5", 24), Address("ib0", "10.1.0.5", 16)]
    ordered, facts = order_addresses(own, "10.1.0.5")
    assert ordered == ["10.1.0.5", "10.0.0.5"]
    assert facts["10.1.0.5"] == {"network": "10.1.0.0/16", "interface": "ib0"}
    assert order_addresses(own, "192.0.2.1")[0] == ["10.0.0.5", "10.1.0.5"]


def test_a_peer_that_listens_again_is_reached() -> None:
    """Its supervisor was killed just then: the next one takes the same port, and is found."""
    listener = Listener()
    port = listener.port
    listener.close()
    again: list[Listener] = []
    late = threading.Timer(0.5, lambda: again.append(Listener(port)))
    late.start()
    assert meet([_peer(port, "127.0.0.1")], [])["reached"] == {"gpu02": ["127.0.0.1"]}
    late.join()
    again[0].close()
