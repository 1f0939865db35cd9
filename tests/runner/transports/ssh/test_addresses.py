"""The way to a node: the compute file before ~/.ssh/config, jump hosts, and names that no machine has."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest

from runner.errors import MachineError
from runner.spec.compute import SshNode, SshTarget
from runner.transports.ssh.addresses import Hop, find_route

CONFIG = """
Host gpu01
    HostName 10.0.0.5
    User trainer
    Port 2201
    IdentityFile ~/.ssh/lab_%h
Host behind
    HostName inner
    ProxyJump bastion,ops@second:2222
Host bastion
    HostName bastion.example
    ProxyJump outer
Host circle
    ProxyJump circle
Host command
    ProxyCommand nc %h %p
Host alias
    HostName 10.0.0.9
    HostKeyAlias Vault
Host *
    IdentitiesOnly yes
"""


def route(home: Path, address: str, *, config: str = CONFIG, **target: object) -> tuple[Hop, ...]:
    """The way to `address` for a person with that config."""
    path = home / ".ssh" / "config"
    path.write_text(config)
    node = SshNode(address=address, name="n1")
    return find_route(SshTarget(nodes=(node,), **target), node, config=path)  # type: ignore[arg-type]  # test values


def test_ssh_config_is_honoured(home: Path) -> None:
    """HostName, User, Port and IdentityFile come from ~/.ssh/config."""
    (hop,) = route(home, "gpu01")
    assert (hop.host, hop.user, hop.port, hop.key_name) == ("10.0.0.5", "trainer", 2201, "[10.0.0.5]:2201")
    assert hop.identity_files == (str(home / ".ssh" / "lab_10.0.0.5"),) and hop.is_only_these_identities


def test_compute_file_wins(home: Path) -> None:
    """What the compute file says is not overruled by ~/.ssh/config."""
    (hop,) = route(home, "gpu01", username="me", ssh_port=22, private_key_file="/k")
    assert (hop.user, hop.port, hop.identity_files, hop.key_name) == ("me", 22, ("/k",), "10.0.0.5")


def test_without_a_config_the_defaults_of_ssh_hold(home: Path) -> None:
    """No file: the address itself, port 22, this person's own login name."""
    node = SshNode(address="GPU07", name="n1")
    (hop,) = find_route(SshTarget(nodes=(node,)), node, config=home / "none")
    assert (hop.host, hop.user, hop.port, hop.key_name) == ("GPU07", getpass.getuser(), 22, "gpu07")


def test_jump_hosts_in_order(home: Path) -> None:
    """Several jumps, each looked up itself, and the jump of the first one before it."""
    hops = route(home, "behind")
    assert [(hop.host, hop.port) for hop in hops] == [
        ("outer", 22),
        ("bastion.example", 22),
        ("second", 2222),
        ("inner", 22),
    ]
    assert hops[2].user == "ops" and "jump host second" in hops[2].subject and hops[3].subject == "n1"


def test_host_key_alias_names_the_key(home: Path) -> None:
    """HostKeyAlias is what the key is looked up by."""
    assert route(home, "alias")[0].key_name == "vault"


@pytest.mark.parametrize(
    ("address", "what"), [("circle", "circle"), ("command", "ProxyCommand"), ("a;b", "address"), ("$(x)", "address")]
)
def test_ways_that_cannot_be_gone_are_refused(home: Path, address: str, what: str) -> None:
    """A circle, a ProxyCommand and a host name with shell characters are one final error each."""
    with pytest.raises(MachineError, match=what) as caught:
        route(home, address)
    assert caught.value.is_final


@pytest.mark.parametrize("user", ["-oProxyCommand=x", "a b", "a;b", "a$(x)", "a\nb", "", "a`b"])
def test_logins_with_metacharacters_are_refused(home: Path, user: str) -> None:
    """A login name that a shell could read something into reaches no machine."""
    if user:
        with pytest.raises(MachineError, match="login"):
            route(home, "gpu09", username=user)


@pytest.mark.parametrize("host", ["-oProxyCommand=x", "a b", "host;x", "`x`", "h'x"])
def test_config_cannot_bring_in_metacharacters_either(home: Path, host: str) -> None:
    """HostName of the config is checked like an address of the compute file."""
    with pytest.raises(MachineError, match=r"address|usable|cannot be read"):
        route(home, "plain", config=f"Host plain\n  HostName {host}\n")


def test_included_files_are_read(home: Path) -> None:
    """Include brings in other files by pattern; what follows still belongs to the block that it stands in."""
    folder = home / ".ssh" / "conf.d"
    folder.mkdir()
    (folder / "lab").write_text("Host gpu01\n  HostName 10.0.0.5\n")
    config = "Include conf.d/*\nHost gpu02\n  Include none/*\n  HostName 10.0.0.6\nHost *\n  User me\n"
    assert route(home, "gpu01", config=config)[0].place == "me@10.0.0.5"
    assert route(home, "gpu02", config=config)[0].place == "me@10.0.0.6"
    (folder / "lab").write_text(f"Include {folder}/lab\nPort 2222\n")
    assert route(home, "gpu03", config=config + "\n")[0].port == 2222


def test_a_config_that_cannot_be_read_is_one_clear_error(home: Path) -> None:
    """A broken ~/.ssh/config is named, instead of a traceback."""
    with pytest.raises(MachineError, match="config"):
        route(home, "gpu01", config="Host a\n  Port\x00 nonsense\nMatch bogus\n")
