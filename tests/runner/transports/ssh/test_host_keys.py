"""Host keys against a real sshd: refused before anything secret is sent, with the exact way out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.errors import MachineError
from runner.transports.ssh.connection import connect
from runner.transports.ssh.known_hosts import HostKey, Standing
from runner.transports.ssh.ssh import SshAccess
from tests.doubles.ssh_server import SshServer, make_key, ssh_server
from tests.runner.transports.ssh.conftest import MakeAccess

pytestmark = pytest.mark.sshd


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    """An sshd with keys of three types, as a fresh installation has them."""
    with ssh_server(tmp_path / "sshd", kinds=("ed25519", "ecdsa", "rsa")) as server:
        yield server


def log_in(server: SshServer, access: SshAccess) -> None:
    """Logs in, and out again."""
    connect(access.route(server.node()), access.trust, access.secrets, access.limits).close()


def refused(server: SshServer, access: SshAccess) -> MachineError:
    """The error of a login that must not even begin: sshd saw no attempt to authenticate."""
    with pytest.raises(MachineError) as caught:
        log_in(server, access)
    assert "userauth-request" not in server.read_log()
    assert caught.value.is_final and "gpu01" in caught.value.message
    return caught.value


def foreign_line(server: SshServer, folder: Path, kind: str = "ed25519", marker: str = "") -> tuple[str, HostKey]:
    """A known_hosts line that gives the server a key it does not have."""
    import base64

    algorithm, content = make_key(folder / f"foreign_{kind}", kind=kind).with_suffix(".pub").read_text().split()[:2]
    return f"{marker} {server.key_name} {algorithm} {content}".lstrip(), HostKey(algorithm, base64.b64decode(content))


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_any_one_known_type_is_enough(server: SshServer, make_access: MakeAccess, kind: str) -> None:
    """The server is asked for the type that is known; its other types do not look like a change."""
    log_in(server, make_access(server.target(), server.known_line(kind)))


def test_unknown_key_is_refused_with_its_fingerprint(server: SshServer, make_access: MakeAccess) -> None:
    """Strict is the default: the message shows the fingerprint, and the command that accepts it."""
    error = refused(server, make_access(server.target()))
    assert "SHA256:" in error.message and error.hint is not None and "runner compute trust lab" in error.hint


def test_accept_new_writes_one_line_into_the_workspace(server: SshServer, make_access: MakeAccess, home: Path) -> None:
    """On request a new key is accepted and kept; the person's own file is not written."""
    access = make_access(server.target(host_key_policy="accept-new"))
    log_in(server, access)
    log_in(server, access)
    assert access.known.own.read_text() == f"{server.known_line()}\n"
    assert not (home / ".ssh" / "known_hosts").exists()


@pytest.mark.parametrize("policy", ["strict", "accept-new"])
def test_changed_key_shows_both_and_the_way_out(
    server: SshServer, make_access: MakeAccess, tmp_path: Path, home: Path, policy: str
) -> None:
    """Neither policy accepts a changed key; old and new fingerprint and both commands are in the message."""
    line, foreign = foreign_line(server, tmp_path)
    access = make_access(server.target(host_key_policy=policy), "# a comment", line)
    error = refused(server, access)
    assert foreign.fingerprint in error.message and error.message.count("SHA256:") == 2
    assert error.hint is not None and "runner compute trust lab" in error.hint
    assert f"ssh-keygen -f {home}/.ssh/known_hosts -R '{server.key_name}'" in error.hint
    assert (home / ".ssh" / "known_hosts").read_text() == f"# a comment\n{line}\n" and not access.known.own.exists()


def test_a_type_that_the_server_lost_is_a_change(tmp_path: Path, make_access: MakeAccess) -> None:
    """Known is an RSA key, the server has only ed25519 now: that is said with both fingerprints, too."""
    with ssh_server(tmp_path / "sshd") as server:
        line, foreign = foreign_line(server, tmp_path, "rsa")
        error = refused(server, make_access(server.target(), line))
        assert foreign.fingerprint in error.message and "ssh-ed25519 SHA256:" in error.message


def test_revoked_key_is_refused_although_known(server: SshServer, make_access: MakeAccess) -> None:
    """A key that is marked as revoked for any host is good for none."""
    revoked = "@revoked * " + " ".join(server.known_line().split()[1:])
    error = refused(server, make_access(server.target(), server.known_line(), revoked))
    assert "revoked" in error.message


def test_lines_of_authorities_are_no_obstacle(server: SshServer, make_access: MakeAccess, tmp_path: Path) -> None:
    """A file with @cert-authority, @revoked of other keys and rubbish works; an authority alone does not vouch."""
    authority, _ = foreign_line(server, tmp_path, marker="@cert-authority")
    revoked, _ = foreign_line(server, tmp_path, "ecdsa", marker="@revoked")
    log_in(server, make_access(server.target(), authority, "rubbish", revoked, server.known_line()))
    access = make_access(server.target(), authority)
    assert access.known.judge(server.key_name, HostKey("a", b"b")).standing is Standing.NEW
    with pytest.raises(MachineError, match="certificate authority"):
        log_in(server, access)
