"""Logging in: keys, agent, passphrase, password; each is tried at most once, and one message tells what was tried."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.errors import MachineError
from runner.transports.ssh.authentication import Secrets
from runner.transports.ssh.connection import connect
from runner.transports.ssh.secret import Secret
from runner.transports.ssh.ssh import SshAccess
from tests.doubles.password_server import PasswordServer, password_server
from tests.doubles.ssh_server import SshServer, make_key, ssh_server
from tests.runner.transports.ssh.conftest import MakeAccess

pytestmark = pytest.mark.sshd


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    """An sshd that lets one key in."""
    with ssh_server(tmp_path / "sshd") as server:
        yield server


@pytest.fixture
def agent(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A real ssh-agent of this person, without keys."""
    socket_path = home / "agent"
    process = subprocess.Popen(["ssh-agent", "-D", "-a", str(socket_path)], stdout=subprocess.DEVNULL)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(socket_path))
    while not socket_path.exists():
        assert process.poll() is None
    yield socket_path
    process.terminate()
    process.wait(timeout=10)


def add(key: Path, passphrase: str = "") -> None:
    """Puts a key into the agent."""
    asker = key.with_name("asker")
    asker.write_text(f"#!/bin/sh\necho '{passphrase}'\n")
    asker.chmod(0o700)
    environ = {**os.environ, "SSH_ASKPASS": str(asker), "SSH_ASKPASS_REQUIRE": "force"}
    subprocess.run(["ssh-add", "-q", str(key)], check=True, env=environ, capture_output=True)


def log_in(server: SshServer, access: SshAccess) -> None:
    """Logs in, and out again."""
    connect(access.route(server.node()), access.trust, access.secrets, access.limits).close()


def refusal(server: SshServer, access: SshAccess) -> MachineError:
    """The one error of a login that is refused; nobody need try it again."""
    with pytest.raises(MachineError) as caught:
        log_in(server, access)
    assert caught.value.is_final and "gpu01" in caught.value.message
    return caught.value


def failures(server: SshServer) -> int:
    """How many attempts sshd has counted as failed."""
    return len(re.findall(r"Failed \w+ for", server.read_log()))


def test_key_of_the_compute_file(server: SshServer, make_access: MakeAccess) -> None:
    """private_key_file is used, and nothing else is tried."""
    log_in(server, make_access(server.target(), server.known_line()))
    assert failures(server) == 0


def test_usual_key_of_the_person(server: SshServer, make_access: MakeAccess, home: Path) -> None:
    """Without any setting ~/.ssh/id_ed25519 is used, as ssh does."""
    for ending in ("", ".pub"):
        (home / ".ssh" / f"id_ed25519{ending}").write_text(Path(f"{server.client_key}{ending}").read_text())
    log_in(server, make_access(server.target(private_key_file=None), server.known_line()))


def test_wrong_key_is_tried_once(server: SshServer, make_access: MakeAccess, tmp_path: Path) -> None:
    """A key that the server does not take is named, and was offered exactly once."""
    wrong = make_key(tmp_path / "wrong")
    error = refusal(server, make_access(server.target(private_key_file=str(wrong)), server.known_line()))
    assert str(wrong) in error.message and "refused the login" in error.message and failures(server) == 1


def test_no_key_at_all_says_so(server: SshServer, make_access: MakeAccess) -> None:
    """Nothing to try is a message of its own, not a timeout."""
    error = refusal(server, make_access(server.target(private_key_file=None), server.known_line()))
    assert "there is no key and no password to try" in error.message


def test_key_in_the_agent(server: SshServer, make_access: MakeAccess, agent: Path) -> None:
    """The agent's key opens the door without a file being named."""
    add(server.client_key)
    log_in(server, make_access(server.target(private_key_file=None), server.known_line()))


def test_agent_with_many_keys_ends_in_one_message(
    server: SshServer, make_access: MakeAccess, agent: Path, tmp_path: Path
) -> None:
    """Eight wrong keys are not all thrown at the server, which would hang up; the way out is named."""
    for number in range(8):
        add(make_key(tmp_path / f"wrong{number}"))
    error = refusal(server, make_access(server.target(private_key_file=None), server.known_line()))
    assert "IdentitiesOnly" in error.message and failures(server) == 5


def test_server_that_wants_no_more_tries(tmp_path: Path, make_access: MakeAccess, agent: Path) -> None:
    """MaxAuthTries 2: being thrown out is a refusal like any other, and no broken connection."""
    with ssh_server(tmp_path / "sshd", settings={"MaxAuthTries": "2"}) as server:
        for number in range(4):
            add(make_key(tmp_path / f"wrong{number}"))
        error = refusal(server, make_access(server.target(private_key_file=None), server.known_line()))
        assert "no more tries" in error.message


def test_passphrase_opens_the_key(server: SshServer, make_access: MakeAccess) -> None:
    """The right one logs in; a wrong one and none are refused with what to do, and sshd hears nothing of either."""
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "open", "-f", str(server.client_key)], check=True)
    target = server.target()
    log_in(server, make_access(target, server.known_line(), secrets=Secrets(passphrase=Secret("open"))))
    wrong = refusal(server, make_access(target, server.known_line(), secrets=Secrets(passphrase=Secret("shut"))))
    none = refusal(server, make_access(target, server.known_line()))
    assert "the passphrase does not open it" in wrong.message and "ssh-add" in none.message
    assert "shut" not in str(wrong) and failures(server) == 0


def test_passphrase_key_by_way_of_the_agent(server: SshServer, make_access: MakeAccess, agent: Path) -> None:
    """A closed key file is no obstacle where the agent holds that very key."""
    subprocess.run(["ssh-keygen", "-q", "-p", "-N", "open", "-f", str(server.client_key)], check=True)
    add(server.client_key, "open")
    log_in(server, make_access(server.target(), server.known_line()))
    assert failures(server) == 0


@pytest.mark.parametrize("content", ["", "not a key\n", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"])
def test_broken_key_file_is_named(server: SshServer, make_access: MakeAccess, tmp_path: Path, content: str) -> None:
    """A file that holds no key is named in the message."""
    broken = tmp_path / "broken"
    broken.write_text(content)
    error = refusal(server, make_access(server.target(private_key_file=str(broken)), server.known_line()))
    assert f"could not use {broken}" in error.message


def password_access(make_access: MakeAccess, double: PasswordServer, password: str | None) -> SshAccess:
    """The access to the server of a double, with a password."""
    from runner.spec.compute import SshNode, SshTarget

    node = SshNode(address="127.0.0.1", name="gpu01", ssh_port=double.port)
    secrets = Secrets(password=None if password is None else Secret(password))
    access = make_access(SshTarget(nodes=(node,), username="me", name="lab"), secrets=secrets)
    access.known.remember(f"[127.0.0.1]:{double.port}", double.offered)
    return access


@pytest.mark.parametrize(("password", "is_let_in"), [("correct horse", True), ("wrong", False)])
def test_password_is_tried_once(make_access: MakeAccess, password: str, is_let_in: bool) -> None:
    """The right password lets in; a wrong one is refused after a single attempt and stands in no message."""
    with password_server(PasswordServer()) as double:
        access = password_access(make_access, double, password)
        route = access.route(access.target.nodes[0])
        if is_let_in:
            connect(route, access.trust, access.secrets, access.limits).close()
        else:
            with pytest.raises(MachineError, match="tried the password") as caught:
                connect(route, access.trust, access.secrets, access.limits)
            assert caught.value.is_final and password not in str(caught.value)
        assert double.attempts == ["password"]


def test_password_where_only_keys_are_taken(make_access: MakeAccess) -> None:
    """The message says what the server takes instead."""
    with password_server(PasswordServer(allowed="publickey")) as double:
        double.check_auth_password = lambda username, password: 2  # type: ignore[method-assign]  # AUTH_FAILED
        access = password_access(make_access, double, "any")
        with pytest.raises(MachineError, match=r"takes publickey"):
            connect(access.route(access.target.nodes[0]), access.trust, access.secrets, access.limits)


def test_secret_does_not_show_itself() -> None:
    """Neither repr nor pickling gives a secret away."""
    import pickle

    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret!r} {secret} {Secrets(password=secret)!r}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
