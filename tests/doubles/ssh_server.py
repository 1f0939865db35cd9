"""A real sshd on a free port of this machine, with keys, settings and a home of its own; nothing else here is used.

As root, sshd logs everybody in who is a user of the machine; as another user, only that user. Logins get `home` as
HOME, whatever the user database says, because the forced command of every key is `env HOME=... <shell> -c "$command"`.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from runner.spec.compute import SshNode, SshTarget

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
_START_LIMIT_S = 20.0


@dataclass(kw_only=True)
class SshServer:
    """One sshd. `log` is what it says (LogLevel DEBUG1): who tried to log in, and how."""

    folder: Path
    home: Path
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    client_key: Path
    host_keys: dict[str, Path] = field(default_factory=dict)

    @property
    def key_name(self) -> str:
        """As the server stands in a known_hosts file."""
        return f"[127.0.0.1]:{self.port}"

    def known_line(self, kind: str = "ed25519") -> str:
        """The line of a known_hosts file that is true of the server."""
        algorithm, content = self.host_keys[kind].with_suffix(".pub").read_text().split()[:2]
        return f"{self.key_name} {algorithm} {content}"

    def target(self, **changes: object) -> SshTarget:
        """A target whose one node is this server."""
        fields: dict[str, object] = {
            "name": "lab",
            "nodes": (self.node(),),
            "username": getpass.getuser(),
            "private_key_file": str(self.client_key),
            "work_directory": str(self.home / "work"),
        }
        return SshTarget(**{**fields, **changes})  # type: ignore[arg-type]  # checked by the target itself

    def node(self, name: str = "gpu01") -> SshNode:
        """The server as a node."""
        return SshNode(address="127.0.0.1", name=name, ssh_port=self.port)

    def read_log(self) -> str:
        """All that sshd said so far."""
        return self.log.read_text(errors="replace")

    def stop(self) -> None:
        """Ends sshd; logins that are open are ended too."""
        self.process.terminate()
        self.process.wait(timeout=10)


def make_key(path: Path, *, kind: str = "ed25519", passphrase: str = "") -> Path:
    """A private key at `path`, its public half beside it."""
    bits = ["-b", "2048"] if kind == "rsa" else []
    command = ["ssh-keygen", "-q", "-t", kind, *bits, "-N", passphrase, "-C", path.name, "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    return path


@contextlib.contextmanager
def ssh_server(
    folder: Path,
    *,
    shell: str = "/bin/sh",
    kinds: tuple[str, ...] = ("ed25519",),
    settings: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
    forced_command: str | None = None,
) -> Iterator[SshServer]:
    """Starts sshd in `folder`, and ends it.

    `shell` is what runs the command, as a login shell would: `<shell> -c <command>`, with `environ` added.
    `forced_command` takes its place.
    """
    folder.mkdir(parents=True, exist_ok=True)
    home = folder / "home"
    home.mkdir()
    host_keys = {kind: make_key(folder / f"host_{kind}", kind=kind) for kind in kinds}
    client_key = make_key(folder / "client")
    authorize(folder, home, shell=shell, environ=environ or {}, forced_command=forced_command)
    port = free_port()
    config = folder / "sshd_config"
    config.write_text(_config(folder, port, host_keys, settings or {}))
    log = folder / "sshd.log"
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # Debian's sshd wants it, even when it does not use it.
    process = subprocess.Popen([SSHD, "-D", "-f", str(config), "-E", str(log)], stdin=subprocess.DEVNULL)
    server = SshServer(
        folder=folder, home=home, port=port, process=process, log=log, client_key=client_key, host_keys=host_keys
    )
    try:
        _wait_until_it_listens(server)
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.stop()


def authorize(folder: Path, home: Path, *, shell: str, environ: Mapping[str, str], forced_command: str | None) -> None:
    """Lets the client's key in; every login goes through a script that sets the home and starts the shell."""
    script = folder / "login"
    lines = "\n".join(f"export {name}='{value}'" for name, value in {"HOME": str(home), **environ}.items())
    run = forced_command or f'cd; exec {shell} -c "$SSH_ORIGINAL_COMMAND"'
    script.write_text(f"#!/bin/sh\n{lines}\n{run}\n")
    script.chmod(0o755)
    public = (folder / "client.pub").read_text()
    keys = folder / "authorized_keys"
    keys.write_text(f'command="{script}" {public}')
    keys.chmod(0o600)


def _config(folder: Path, port: int, host_keys: Mapping[str, Path], settings: Mapping[str, str]) -> str:
    values = {
        "ListenAddress": "127.0.0.1",
        "Port": str(port),
        "PidFile": "none",
        "AuthorizedKeysFile": str(folder / "authorized_keys"),
        "StrictModes": "no",
        "UsePAM": "no",
        "PasswordAuthentication": "no",
        "KbdInteractiveAuthentication": "no",
        "PermitRootLogin": "yes",
        "LogLevel": "DEBUG1",
        "MaxStartups": "200",
        "MaxSessions": "100",
        **settings,
    }
    lines = [f"{name} {value}" for name, value in values.items()]
    return "\n".join([*lines, *(f"HostKey {path}" for path in host_keys.values())]) + "\n"


def free_port() -> int:
    """A port of the loopback that nobody has at this moment."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _wait_until_it_listens(server: SshServer) -> None:
    deadline = time.monotonic() + _START_LIMIT_S
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), timeout=1):
            return
        time.sleep(0.02)
    raise AssertionError(f"sshd did not start: {server.log.read_text() if server.log.exists() else ''}")
