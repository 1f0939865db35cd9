"""Ports behind which no SSH server speaks: each is one clear error, in its time, and holds nobody else up."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest

from runner.errors import MachineError
from runner.spec.compute import SshNode, SshTarget
from runner.transports.ssh.connection import connect
from tests.doubles import ports
from tests.doubles.ssh_server import ssh_server
from tests.runner.transports.ssh.conftest import MakeAccess

_LIMIT_S = 1.0


def failure(make_access: MakeAccess, port: int, *, address: str = "127.0.0.1") -> MachineError:
    """The error of connecting to that port, which came within the time."""
    node = SshNode(address=address, name="gpu01", ssh_port=port)
    access = make_access(SshTarget(nodes=(node,)), limit_s=_LIMIT_S)
    started = time.monotonic()
    with pytest.raises(MachineError) as caught:
        connect(access.route(node), access.trust, access.secrets, access.limits)
    assert time.monotonic() - started < 15 * _LIMIT_S
    assert caught.value.message.startswith("gpu01: ") and not caught.value.is_final and "\n" not in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    "serve", [ports.silent, ports.tarpit, ports.after_the_banner], ids=lambda serve: serve.__name__
)
def test_port_that_says_too_little(make_access: MakeAccess, serve: ports.Serve) -> None:
    """Silence, a drip of lines, and a banner with nothing behind it end within the limit."""
    with ports.Port(serve) as port:
        assert "no SSH server spoke within 1 s" in failure(make_access, port.number).message
        assert port.connection_count == 1


@pytest.mark.parametrize("serve", [ports.garbage, ports.hang_up], ids=lambda serve: serve.__name__)
def test_port_that_says_something_else(make_access: MakeAccess, serve: ports.Serve) -> None:
    """Garbage and a closed connection are told at once, and with no control character of the other side."""
    with ports.Port(serve) as port:
        error = failure(make_access, port.number)
        assert "no SSH server spoke" in error.message and error.message.isprintable()


def test_closed_port(make_access: MakeAccess) -> None:
    """Nobody listens: the message says refused, and what to try."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        error = failure(make_access, held.getsockname()[1])
    assert "refused" in error.message and error.hint is not None and "ssh -p" in error.hint


def test_name_that_nobody_has(make_access: MakeAccess) -> None:
    """A name that cannot be resolved is told as such."""
    assert "no machine is called nowhere.invalid" in failure(make_access, 22, address="nowhere.invalid").message


def test_full_backlog_ends_in_time(make_access: MakeAccess) -> None:
    """A machine that takes no connection at all (packets dropped) ends within the limit, too."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        held = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
            held.append(sock)
        try:
            assert failure(make_access, port).message
        finally:
            for sock in held:
                sock.close()


@pytest.mark.sshd
def test_silent_port_does_not_hold_the_others_up(tmp_path: Path, make_access: MakeAccess) -> None:
    """Eight nodes log in while a ninth says nothing; the ninth waits alone."""
    with ports.Port(ports.silent) as silent, ssh_server(tmp_path / "sshd") as server:
        dead = SshNode(address="127.0.0.1", name="dead", ssh_port=silent.number)
        access = make_access(server.target(nodes=(dead, server.node())), server.known_line(), limit_s=30)
        waiting = threading.Thread(target=lambda: _swallow(access, dead), daemon=True)
        waiting.start()
        threads = [threading.Thread(target=lambda: _swallow(access, server.node())) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=25)
        assert not any(thread.is_alive() for thread in threads) and waiting.is_alive()
        assert server.read_log().count("Accepted publickey") == 8


def _swallow(access: object, node: SshNode) -> None:
    from runner.transports.ssh.ssh import SshAccess

    assert isinstance(access, SshAccess)
    try:
        connect(access.route(node), access.trust, access.secrets, access.limits).close()
    except MachineError:
        pass
