"""The submitting side's files: a home with a key, known hosts and an ssh config, and compute files."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.lab import keys
from tests.lab.host import Host

USER = "lab"


class Submitter:
    """`home` is a folder that a test may set as HOME."""

    def __init__(self, home: Path, hosts: Mapping[str, Host]) -> None:
        self.home = home
        self._hosts = hosts

    @property
    def identity_file(self) -> Path:
        """The private key that user lab of every host lets in."""
        return self.home / ".ssh/id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The hosts' keys, by address and by name."""
        return self.home / ".ssh/known_hosts"

    @property
    def ssh_config(self) -> Path:
        """For ssh -F: the hosts by name."""
        return self.home / ".ssh/config"

    @property
    def public_key(self) -> str:
        """The line for authorized_keys."""
        return keys.public_line(self.identity_file)

    def make_identity(self) -> None:
        """The folder and the key."""
        (self.home / ".ssh").mkdir(mode=0o700, parents=True)
        keys.make_key(self.identity_file)

    def write_files(self) -> None:
        """known_hosts and config for the hosts as they are now."""
        kinds = keys.HOST_KEY_TYPES
        self.known_hosts.write_text(
            "".join(self.known_hosts_line(host, kind) for host in self._hosts.values() for kind in kinds)
        )
        self.ssh_config.write_text("".join(self._stanza(host) for host in self._hosts.values()))

    def known_hosts_line(self, host: Host, kind: str = "ed25519") -> str:
        """One line, with its newline."""
        public = keys.public_line(host.folder / "ssh" / keys.host_key_name(kind))
        return f"{host.address},{host.name} {public}\n"

    def ssh_command(self, host: Host, *argv: str) -> list[str]:
        """The ssh command for a person or for a comparison."""
        return ["ssh", "-F", str(self.ssh_config), host.name, *argv]

    def ssh(self, host: Host, *argv: str, limit_s: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Runs a command on the host through ssh."""
        command = self.ssh_command(host, *argv)
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit_s)

    def compute(self, hosts: Sequence[Host] | None = None, **changes: Any) -> dict[str, Any]:
        """A compute target of type ssh; `changes` replace or add keys."""
        chosen = list(self._hosts.values()) if hosts is None else hosts
        target = {
            "type": "ssh",
            "username": USER,
            "private_key_file": str(self.identity_file),
            "nodes": [{"address": host.address, "name": host.name} for host in chosen],
            "host_key_policy": "strict",
        }
        return target | changes

    def compute_file(self, path: Path | None = None, hosts: Sequence[Host] | None = None, **changes: Any) -> Path:
        """Writes the target as a compute file (JSON, which is YAML); by default into the home."""
        path = self.home / "compute.yml" if path is None else path
        path.write_text(json.dumps(self.compute(hosts, **changes), indent=2) + "\n")
        return path

    def environment(self, **changes: str) -> dict[str, str]:
        """os.environ with this home and without an ssh agent."""
        kept = {name: value for name, value in os.environ.items() if name not in ("SSH_AUTH_SOCK", "SSH_ASKPASS")}
        return kept | {"HOME": str(self.home)} | changes

    def _stanza(self, host: Host) -> str:
        return (
            f"Host {host.name}\n  HostName {host.address}\n  User {USER}\n  IdentityFile {self.identity_file}\n"
            f"  IdentitiesOnly yes\n  UserKnownHostsFile {self.known_hosts}\n  GlobalKnownHostsFile /dev/null\n"
            "  BatchMode yes\n"
        )
