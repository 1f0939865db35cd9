"""Nodes behind jump hosts: every hop's key is checked in the same way, and a hop that fails is named."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.errors import MachineError
from runner.spec.compute import SshNode, SshTarget
from runner.transports.ssh.connection import connect
from runner.transports.ssh.ssh import SshAccess, SshTransport
from runner.transports.ssh.trusting import fetch_offers, stages
from sidecar.contract.layout import WorkspaceLayout
from tests.doubles.ssh_server import SshServer, ssh_server
from tests.doubles.tiny_bundles import TinyBundles
from tests.runner.transports.ssh.conftest import MakeAccess

pytestmark = pytest.mark.sshd


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[SshServer, SshServer, SshServer]]:
    """Two jump hosts and a node."""
    with ssh_server(tmp_path / "a") as first, ssh_server(tmp_path / "b") as second, ssh_server(tmp_path / "c") as node:
        yield first, second, node


def jumping(servers: tuple[SshServer, ...], home: Path, make_access: MakeAccess, *known: SshServer) -> SshAccess:
    """The access to the last server by way of those before it; `known` are the ones whose keys are known."""
    text = ""
    for number, server in enumerate(servers):
        text += f"Host hop{number}\n  HostName 127.0.0.1\n  Port {server.port}\n  User root\n"
        text += f"  IdentityFile {server.client_key}\n  IdentitiesOnly yes\n"
        if number > 0:
            text += f"  ProxyJump hop{number - 1}\n"
    (home / ".ssh" / "config").write_text(text.replace("User root", f"User {_user()}"))
    target = SshTarget(
        name="lab", nodes=(SshNode(address=f"hop{len(servers) - 1}", name="gpu01"),), work_directory="~/work"
    )
    return make_access(target, *(server.known_line() for server in known))


def _user() -> str:
    import getpass

    return getpass.getuser()


def test_two_jumps_to_a_node(
    servers: tuple[SshServer, ...], home: Path, make_access: MakeAccess, workspace: WorkspaceLayout
) -> None:
    """Landing works through channels of two jump hosts, and the node's address is its own."""
    access = jumping(servers, home, make_access, *servers)
    access = dataclasses.replace(access, bundles=TinyBundles(workspace))
    link = SshTransport(access=access, node=access.target.nodes[0], argv=("x",)).connect()
    assert link.pipe.read_line(1 << 20, float("inf")).startswith(b'{"argv": ["x"]')
    assert link.landing.peer_address == "127.0.0.1" and link.landing.home == str(servers[-1].home)
    link.close()
    assert "direct-tcpip" in servers[0].read_log() and "direct-tcpip" in servers[1].read_log()


@pytest.mark.parametrize("unknown", [0, 1, 2])
def test_each_key_on_the_way_is_checked(
    servers: tuple[SshServer, ...], home: Path, make_access: MakeAccess, unknown: int
) -> None:
    """An unknown key at any hop ends the way there, before a login is tried at that hop."""
    known = [server for number, server in enumerate(servers) if number != unknown]
    access = jumping(servers, home, make_access, *known)
    with pytest.raises(MachineError, match="is not known") as caught:
        connect(access.route(access.target.nodes[0]), access.trust, access.secrets, access.limits)
    assert caught.value.is_final and servers[unknown].key_name in caught.value.message
    assert "userauth-request" not in servers[unknown].read_log()
    assert ("jump host" in caught.value.message) is (unknown < 2)


def test_jump_host_that_forwards_nothing(tmp_path: Path, home: Path, make_access: MakeAccess) -> None:
    """A jump host with forwarding turned off is named, with the node that it should lead to."""
    off = {"AllowTcpForwarding": "no"}
    with ssh_server(tmp_path / "a", settings=off) as jump, ssh_server(tmp_path / "b") as node:
        access = jumping((jump, node), home, make_access, jump, node)
        with pytest.raises(MachineError, match=r"gpu01: 127\.0\.0\.1 does not get through"):
            connect(access.route(access.target.nodes[0]), access.trust, access.secrets, access.limits)


def test_trust_asks_jump_hosts_first(servers: tuple[SshServer, ...], home: Path, make_access: MakeAccess) -> None:
    """Each stage can be asked once the keys of the one before it are accepted."""
    access = jumping(servers, home, make_access)
    ways = stages([access.route(access.target.nodes[0])])
    assert [[len(way) for way in stage] for stage in ways] == [[1], [2], [3]]
    for stage, server in zip(ways, servers, strict=True):
        (offer,) = fetch_offers(access, stage)
        assert offer.problem is None and len(offer.keys) == 1
        access.known.remember(offer.hop.key_name, offer.keys[0][0])
        assert server.known_line() in access.known.own.read_text()
    connect(access.route(access.target.nodes[0]), access.trust, access.secrets, access.limits).close()
