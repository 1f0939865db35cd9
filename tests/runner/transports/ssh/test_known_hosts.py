"""Known host keys: OpenSSH's file format, read whole and only ever appended to."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from pathlib import Path

import pytest

from runner.errors import MachineError
from runner.transports.ssh.known_hosts import HostKey, KnownHosts, Standing, matches
from tests.doubles.ssh_server import make_key

KEY = HostKey("ssh-ed25519", b"\0\0\0\x0bssh-ed25519" + b"k" * 36)
OTHER = HostKey("ssh-ed25519", b"\0\0\0\x0bssh-ed25519" + b"o" * 36)
RSA = HostKey("ssh-rsa", b"\0\0\0\x07ssh-rsa" + b"r" * 200)


def line(hosts: str, key: HostKey = KEY, marker: str = "") -> str:
    """A line of a file."""
    return f"{marker} {hosts} {key.kind} {base64.b64encode(key.content).decode()} comment\n".lstrip()


def known(folder: Path, *lines: str) -> KnownHosts:
    """The files of a person whose known_hosts has these lines."""
    (folder / "known_hosts").write_text("".join(lines))
    return KnownHosts([folder / "known_hosts"], own=folder / "own")


@pytest.mark.parametrize(
    ("hosts", "name", "is_match"),
    [
        ("gpu01", "gpu01", True),
        ("gpu01,10.0.0.5", "10.0.0.5", True),
        ("GPU01", "gpu01", True),
        ("gpu01", "[gpu01]:2222", False),
        ("[gpu01]:2222", "[gpu01]:2222", True),
        ("[gpu01]:2222", "gpu01", False),
        ("*.lab", "gpu01.lab", True),
        ("[127.0.0.*]:*", "[127.0.0.1]:2222", True),
        ("gpu0?", "gpu01", True),
        ("*.lab,!bad.lab", "bad.lab", False),
        ("!bad.lab,*.lab", "good.lab", True),
        ("fe80::1", "fe80::1", True),
        ("|1|broken", "gpu01", False),
        ("|1|AAAA|AAAA", "gpu01", False),
    ],
)
def test_patterns_are_those_of_openssh(hosts: str, name: str, is_match: bool) -> None:
    """Names, lists, ports, wildcards and negations match as sshd(8) describes."""
    assert matches(hosts, name) is is_match


@pytest.mark.sshd
@pytest.mark.parametrize("name", ["gpu01", "[127.0.0.1]:2222"])
def test_hashed_names_match_as_ssh_keygen_hashes_them(tmp_path: Path, name: str) -> None:
    """A file that `ssh-keygen -H` has hashed still knows the same hosts."""
    public = make_key(tmp_path / "key").with_suffix(".pub").read_text().split()
    path = tmp_path / "known_hosts"
    path.write_text(f"{name} {public[0]} {public[1]}\n")
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], check=True, capture_output=True)
    assert path.read_text().startswith("|1|")
    found = KnownHosts([path], own=tmp_path / "own").judge(name, HostKey(public[0], base64.b64decode(public[1])))
    assert found.standing is Standing.KNOWN


@pytest.mark.sshd
def test_fingerprint_is_the_one_that_ssh_keygen_shows(tmp_path: Path) -> None:
    """A person can compare what we print with what the machine's owner reads out."""
    public = make_key(tmp_path / "key").with_suffix(".pub")
    shown = subprocess.run(["ssh-keygen", "-l", "-f", str(public)], check=True, capture_output=True, text=True).stdout
    kind, content = public.read_text().split()[:2]
    assert HostKey(kind, base64.b64decode(content)).fingerprint == shown.split()[1]


def test_judgement_by_what_the_files_say(tmp_path: Path) -> None:
    """Known, new, changed and revoked are told apart, with the line that decides."""
    hosts = known(tmp_path, line("gpu01"), line("gpu02", OTHER), line("*", OTHER, "@revoked"))
    assert hosts.judge("gpu01", KEY).standing is Standing.KNOWN
    assert hosts.judge("gpu03", KEY).standing is Standing.NEW
    changed = hosts.judge("gpu01", RSA)
    assert changed.standing is Standing.CHANGED and changed.line is not None and changed.line.number == 1
    revoked = hosts.judge("gpu02", OTHER)  # Revoked wins, although the very key stands there as known.
    assert revoked.standing is Standing.REVOKED and revoked.line is not None and revoked.line.number == 3


def test_several_keys_of_one_host_all_count(tmp_path: Path) -> None:
    """A host may have a key of each type, and two of one type while it is being changed."""
    hosts = known(tmp_path, line("gpu01"), line("gpu01", OTHER), line("gpu01", RSA))
    assert {hosts.judge("gpu01", key).standing for key in (KEY, OTHER, RSA)} == {Standing.KNOWN}
    assert hosts.kinds("gpu01") == ("ssh-ed25519", "ssh-rsa")


def test_key_known_without_the_port_counts_for_the_port(tmp_path: Path) -> None:
    """As in ssh: the host's own key is good on another port, unless that port has a key of its own."""
    assert known(tmp_path, line("gpu01")).judge("[gpu01]:2222", KEY).standing is Standing.KNOWN
    both = known(tmp_path, line("gpu01"), line("[gpu01]:2222", OTHER))
    assert both.judge("[gpu01]:2222", KEY).standing is Standing.CHANGED


def test_certificate_authority_is_no_key_of_the_host(tmp_path: Path) -> None:
    """The key of an authority does not let its holder stand in for every host, and is no crash."""
    hosts = known(tmp_path, line("*", KEY, "@cert-authority"))
    assert hosts.judge("gpu01", KEY).standing is Standing.NEW
    assert hosts.has_authority("gpu01") and hosts.kinds("gpu01") == ()


def test_rubbish_is_passed_over(tmp_path: Path) -> None:
    """Comments, cut lines, bytes that are no text and key types of the future hide no good line."""
    path = tmp_path / "known_hosts"
    rubbish = b"# gpu01\n\n@\ngpu01\ngpu01 ssh-ed25519\ngpu01 ssh-ed25519 !!!\n\xff\xfe x y\n@other gpu01 a AAAA\n"
    path.write_bytes(rubbish + line("gpu01").encode() + b"gpu01 sk-future@example AAAA")
    assert KnownHosts([path], own=tmp_path / "own").judge("gpu01", KEY).standing is Standing.KNOWN


def test_remembering_appends_one_line_and_touches_no_other_file(tmp_path: Path) -> None:
    """Accepting a key leaves the person's file as it is, byte for byte, and writes the workspace's own."""
    text = "# mine\n" + line("gpu02", KEY, "@cert-authority") + line("gpu03", KEY, "@revoked")
    hosts = known(tmp_path, text)
    hosts.own.write_text("torn")
    hosts.remember("gpu01", RSA)
    hosts.remember("gpu01", RSA)
    assert (tmp_path / "known_hosts").read_text() == text
    assert hosts.own.read_text() == f"torn\ngpu01 ssh-rsa {base64.b64encode(RSA.content).decode()}\n"
    assert hosts.judge("gpu01", RSA).standing is Standing.KNOWN


def test_threads_remember_without_tearing(tmp_path: Path) -> None:
    """Sixteen machines accepted at once give sixteen whole lines."""
    hosts = known(tmp_path)
    threads = [threading.Thread(target=hosts.remember, args=(f"gpu{number:02}", RSA)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hosts.own.read_text().splitlines()) == 16
    assert all(hosts.judge(f"gpu{number:02}", RSA).standing is Standing.KNOWN for number in range(16))


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    """A key that a person adds while a run waits for it counts at the next attempt."""
    hosts = known(tmp_path)
    assert hosts.judge("gpu01", KEY).standing is Standing.NEW
    with open(tmp_path / "known_hosts", "a") as stream:
        stream.write(line("gpu01"))
    os.utime(tmp_path / "known_hosts")
    assert hosts.judge("gpu01", KEY).standing is Standing.KNOWN


def test_a_file_that_cannot_be_read_makes_no_key_new(tmp_path: Path) -> None:
    """It may hold the old key, or revoke this one: accept-new must not accept anything before it can be read."""
    files = KnownHosts([tmp_path / "known_hosts"], own=tmp_path / "own")
    assert files.judge("gpu01", KEY).standing is Standing.NEW
    (tmp_path / "known_hosts").mkdir()
    with pytest.raises(MachineError, match="known_hosts cannot be read"):
        files.judge("gpu01", KEY)
