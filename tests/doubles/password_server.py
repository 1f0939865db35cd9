"""An SSH server in this process that lets in by password, and keeps count of every attempt."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import paramiko
from paramiko.common import AUTH_FAILED, AUTH_PARTIALLY_SUCCESSFUL, AUTH_SUCCESSFUL

from runner.transports.ssh.known_hosts import HostKey
from tests.doubles.ports import Port


@dataclass(kw_only=True)
class PasswordServer(paramiko.ServerInterface):
    """Takes `password`, and any `keys`; with `wants_both` one of each. `attempts` are the methods tried, in order."""

    password: str = "correct horse"
    allowed: str = "publickey,password"
    wants_both: bool = False
    host_key: paramiko.PKey = field(default_factory=lambda: paramiko.ECDSAKey.generate())
    attempts: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def offered(self) -> HostKey:
        """The server's key."""
        return HostKey(self.host_key.get_name(), self.host_key.asbytes())

    def get_allowed_auths(self, username: str) -> str:
        """What may still be tried."""
        return self.allowed

    def check_auth_password(self, username: str, password: str) -> int:
        """Whether it is the one."""
        self.attempts.append("password")
        return AUTH_SUCCESSFUL if password == self.password else AUTH_FAILED

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        """No key opens this door alone."""
        self.attempts.append("publickey")
        return AUTH_PARTIALLY_SUCCESSFUL if self.wants_both else AUTH_FAILED


@contextlib.contextmanager
def password_server(server: PasswordServer) -> Iterator[PasswordServer]:
    """Serves logins on a free port; `server.port` says which."""

    def serve(client: socket.socket, is_over: threading.Event) -> None:
        transport = paramiko.Transport(client)
        transport.add_server_key(server.host_key)
        with contextlib.suppress(paramiko.SSHException, EOFError):
            transport.start_server(server=server)
        is_over.wait()
        transport.close()

    with Port(serve) as port:
        server.port = port.number
        yield server
