"""Finds the way to a node: compute file first, then ~/.ssh/config (HostName, User, Port, IdentityFile, ProxyJump)."""

from __future__ import annotations

import functools
import getpass
import glob
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import MachineError
from runner.spec.compute import SshNode, SshTarget

if TYPE_CHECKING:
    from paramiko import SSHConfig

DEFAULT_PORT = 22
# Jump hosts that jump by way of each other would otherwise be followed for ever.
_HOP_LIMIT = 8
# As ssh: a file that includes itself ends here.
_INCLUDE_LIMIT = 16
_HOST = re.compile(r"[A-Za-z0-9_:][A-Za-z0-9._:%-]*")
_USER = re.compile(r"[^\s\0-\x1f\x7f'\"`$\\;&<>|(){}-][^\s\0-\x1f\x7f'\"`$\\;&<>|(){}]*")
_JUMP = re.compile(
    r"(?:(?P<user>[^@]+)@)?(?:\[(?P<bracketed>[^\]]+)\]|(?P<host>[^:]+|[^\[\]]*:[^\[\]]*:[^\[\]]*))"
    r"(?::(?P<port>\d+))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One SSH server on the way. `known_as` is the name that its host key is looked up by, without the port.

    `subject` is what messages begin with: the node, or the jump host on the way to it.
    """

    subject: str
    host: str
    port: int
    user: str
    known_as: str
    identity_files: tuple[str, ...]
    is_only_these_identities: bool

    @property
    def key_name(self) -> str:
        """As the host stands in a known_hosts file."""
        return self.known_as if self.port == DEFAULT_PORT else f"[{self.known_as}]:{self.port}"

    @property
    def place(self) -> str:
        """For a person."""
        return f"{self.user}@{self.host}" + ("" if self.port == DEFAULT_PORT else f" port {self.port}")


def find_route(target: SshTarget, node: SshNode, *, config: Path | None) -> tuple[Hop, ...]:
    """Every server to log in to, the node last. Raises MachineError for names that no machine can have."""
    settings = _Settings(node.name, config)
    found = settings.look_up(node.address)
    hop = _hop(node.name, node.address, found)
    port = node.ssh_port or target.ssh_port
    if port is not None:
        hop = replace(hop, port=port)
    if target.username is not None:
        hop = replace(hop, user=target.username)
    if target.private_key_file is not None:
        hop = replace(hop, identity_files=(target.private_key_file,), is_only_these_identities=True)
    return tuple(_checked(each) for each in (*settings.jumps(found, depth=0), hop))


class _Settings:
    """~/.ssh/config, as it speaks of one node and of the hosts on the way to it."""

    def __init__(self, subject: str, path: Path | None) -> None:
        self._subject = subject
        self._path = path
        self._config = None if path is None else self._read(path)

    def _read(self, path: Path) -> SSHConfig | None:
        from paramiko.ssh_exception import ConfigParseError

        try:
            state = path.stat()
        except OSError:
            return None
        try:
            return _read_config(str(path), state.st_mtime_ns, state.st_size)
        except (OSError, ValueError, ConfigParseError) as error:
            raise MachineError(
                f"{self._subject}: {path} cannot be read: {error}", hint=f"ssh -G {self._subject}", is_final=True
            ) from error

    def look_up(self, host: str) -> Mapping[str, Any]:
        """What the file says of `host`; keys in lower case."""
        if self._config is None:
            return {}
        try:
            return dict(self._config.lookup(host))
        except Exception as error:  # A door: `Match exec`, tokens and canonical names fail in many ways.
            raise MachineError(
                f"{self._subject}: {self._path} says nothing usable about {host}: {error}", is_final=True
            ) from error

    def jumps(self, found: Mapping[str, Any], *, depth: int) -> tuple[Hop, ...]:
        """The hosts that ProxyJump names, and those that the first of them is reached by."""
        written = str(found.get("proxyjump", "none"))
        command = str(found.get("proxycommand", "none"))
        if written.lower() == "none":
            if command.lower() != "none":
                raise MachineError(
                    f"{self._subject}: {self._path} reaches it by a ProxyCommand, which the runner does not use",
                    hint="write it as ProxyJump",
                    is_final=True,
                )
            return ()
        if depth >= _HOP_LIMIT:
            raise MachineError(f"{self._subject}: {self._path} jumps in a circle ({written})", is_final=True)
        hops: list[Hop] = []
        for index, text in enumerate(written.split(",")):
            parts = _JUMP.fullmatch(text.strip().removeprefix("ssh://"))
            if parts is None:
                raise MachineError(f"{self._subject}: {text!r} is no jump host ({self._path})", is_final=True)
            name = parts["bracketed"] or parts["host"]
            of_jump = self.look_up(name)
            if index == 0:
                hops += self.jumps(of_jump, depth=depth + 1)
            hop = _hop(f"{self._subject} (jump host {name})", name, of_jump)
            user, port = parts["user"], parts["port"]
            hops.append(replace(hop, user=user or hop.user, port=int(port) if port else hop.port))
        return tuple(hops)


@functools.lru_cache(maxsize=8)
def _read_config(path: str, mtime_ns: int, size: int) -> SSHConfig:
    """The parsed file; a changed one has another time or size, and is read again."""
    from paramiko import SSHConfig

    return SSHConfig.from_text(_with_includes(path, os.path.dirname(path), depth=0))


def _with_includes(path: str, folder: str, *, depth: int) -> str:
    """The file with what it includes in place, which paramiko leaves out; relative patterns lie in `folder`."""
    lines = []
    block = "Host *"
    with open(path, encoding="utf-8", errors="surrogateescape") as stream:
        for line in stream.read().splitlines():
            key, _, value = line.strip().replace("=", " ", 1).partition(" ")
            if key.lower() in ("host", "match"):
                block = line
            if key.lower() != "include" or depth >= _INCLUDE_LIMIT:
                lines.append(line)
                continue
            for pattern in shlex.split(value):
                whole = os.path.join(folder, os.path.expanduser(pattern))
                lines += [_with_includes(found, folder, depth=depth + 1) for found in sorted(glob.glob(whole))]
            lines.append(block)  # What follows belongs to the block that the include stands in.
    return "\n".join(lines) + "\n"


def _hop(subject: str, name: str, found: Mapping[str, Any]) -> Hop:
    host = str(found.get("hostname", name))
    return Hop(
        subject=subject,
        host=host,
        port=int(found.get("port", DEFAULT_PORT)),
        user=str(found.get("user") or getpass.getuser()),
        known_as=str(found.get("hostkeyalias") or host).lower(),
        identity_files=tuple(os.path.expanduser(path) for path in found.get("identityfile", ())),
        is_only_these_identities=str(found.get("identitiesonly", "no")).lower() == "yes",
    )


def _checked(hop: Hop) -> Hop:
    if not _HOST.fullmatch(hop.host):
        raise MachineError(f"{hop.subject}: {hop.host!r} cannot be the address of a machine", is_final=True)
    if not _USER.fullmatch(hop.user):
        raise MachineError(f"{hop.subject}: {hop.user!r} cannot be the name of a login", is_final=True)
    if not 0 < hop.port < 65536:
        raise MachineError(f"{hop.subject}: {hop.port} cannot be a port", is_final=True)
    return hop
