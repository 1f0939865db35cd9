"""paramiko's transport as the runner uses it: fast ciphers first, weak ones off, few wake-ups, its last words kept.

With pieces.py the only module that subclasses paramiko; imported when a connection is made, never at start.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Sequence
from typing import Any

import paramiko
from paramiko.ssh_exception import SSHException

from runner.transports.ssh.known_hosts import HostKey
from runner.transports.ssh.pieces import Pieces
from runner.transports.ssh.sockets import PromptSocket

_log = logging.getLogger(__name__)

_CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
)
_MACS = (
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
)
_RSA = "ssh-rsa"
_OTHER_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")
_RSA_ALGORITHMS = ("rsa-sha2-512", "rsa-sha2-256")
# How often paramiko's thread looks whether it was stopped. Smaller: wake-ups for nothing on a link that is quiet.
# Larger: nothing, because `hang_up` wakes it.
_LOOK_S = 2.0


def algorithms_of(kind: str) -> tuple[str, ...]:
    """The signature algorithms that a host key of this type is used with."""
    return _RSA_ALGORITHMS if kind == _RSA else (kind,)


def is_supported(kind: str) -> bool:
    """Whether a host key of this type can be checked."""
    return kind == _RSA or kind in _OTHER_KINDS


class Wire(paramiko.Transport):
    """One encrypted connection, from the handshake on."""

    _active_check_timeout = _LOOK_S
    _preferred_ciphers = _CIPHERS
    _preferred_macs = _MACS

    def __init__(
        self, sock: socket.socket | paramiko.Channel, *, algorithms: Sequence[str] | None, timeout_s: float
    ) -> None:
        super().__init__(sock)
        self._asked_keys = tuple(algorithms or (*_OTHER_KINDS, *_RSA_ALGORITHMS))
        self.last_words = ""
        self.banner_timeout = timeout_s
        self.handshake_timeout = timeout_s
        self.channel_timeout = timeout_s

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        """Host keys only, no certificates: nothing here can check who signed one."""
        return self._asked_keys

    @property
    def offered_key(self) -> HostKey:
        """The key that the server has proved to hold."""
        key = self.get_remote_server_key()
        return HostKey(key.get_name(), key.asbytes())

    def negotiate(self, timeout_s: float) -> bool:
        """Shakes hands; False where the time is over. Raises what paramiko raises."""
        done = threading.Event()
        self.start_client(event=done)
        if not done.wait(timeout_s):
            return False
        if not self.is_active():
            raise self.get_exception() or SSHException("it hung up")
        return True

    def session(self, *, window_bytes: int, timeout_s: float) -> paramiko.Channel:
        """A channel that a command can be run in. Raises what paramiko raises."""
        channel = self.open_session(window_size=window_bytes, timeout=timeout_s)
        # Nothing arrives before a command runs, so the old buffer is empty.
        channel.in_buffer = Pieces()  # type: ignore[assignment]  # the same methods, nothing of its inside
        return channel

    def calm_down(self) -> None:
        """Lets acknowledgements be collected."""
        if isinstance(self.sock, PromptSocket):
            self.sock.is_hurried = False

    def hang_up(self) -> None:
        """Closes at once, and wakes the thread that reads."""
        with contextlib.suppress(Exception):  # Whatever state it is in, it is to be closed.
            if isinstance(self.sock, socket.socket):
                self.sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(Exception):
            self.sock.close()
        self.close()

    def _parse_disconnect(self, m: Any) -> None:
        m.get_int()
        text = m.get_text()
        self.last_words = "".join(letter if letter.isprintable() else "?" for letter in text)[:200]

    def _log(self, level: int, msg: Any, *args: Any) -> None:
        """What paramiko calls an error is told by an exception already, with a cause: here it is for debugging."""
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug(msg if not isinstance(msg, list) else "\n".join(msg), *args)
