"""Opens a TCP connection that notices when its peer is gone, though TCP itself would wait for a quarter of an hour."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import selectors
import socket
import threading
import time
from typing import Any

from runner.errors import MachineError
from runner.transports.ssh.addresses import Hop

# A peer that answers nothing for idle + interval x count seconds is gone (measured: a cut is found after 4 to 5 s).
_KEEPALIVE_IDLE_S = 5
_KEEPALIVE_INTERVAL_S = 2
_KEEPALIVE_COUNT = 3
# Bytes that nobody acknowledges for this long end the connection. Smaller: a train's tunnel ends it.
_UNACKNOWLEDGED_LIMIT_MS = 10_000
# paramiko asks for four bytes, then for the rest of a packet: without this a flood is two system calls for every 32 KiB
# (measured with a flood of logs: a seventh of the CPU). Larger: memory for every link, out of the processor's cache.
_READ_AHEAD_BYTES = 256 * 1024
# Not in `socket` before Python 3.6 on Linux, and nowhere else; linux/tcp.h.
_TCP_USER_TIMEOUT = 18
_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)


class PromptSocket(socket.socket):
    """A socket that reads ahead, and that acknowledges at once while `is_hurried`. One thread reads.

    sshd collects small messages until the last one is acknowledged (Nagle), which Linux puts off for 40 ms: twice on
    the way to the first command. Later on, when much arrives, the delay saves packets.
    """

    is_hurried = True
    # What was read ahead, and how much of it has been given out.
    _ahead = b""
    _given = 0

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """As every socket does, but for what was read ahead: neither `select` nor MSG_PEEK sees that any more."""
        if self._given >= len(self._ahead):
            self._ahead, self._given = super().recv(max(size, _READ_AHEAD_BYTES), flags), 0
            if self.is_hurried and _QUICKACK is not None:
                with contextlib.suppress(OSError):
                    self.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        content = self._ahead[self._given : self._given + size]
        self._given += len(content)
        return content


def dial(hop: Hop, *, timeout_s: float) -> PromptSocket:
    """Connects to the hop's port. Raises MachineError that says which of name, port and network it was."""
    deadline = time.monotonic() + timeout_s
    addresses = _resolve(hop, timeout_s)
    problem: OSError | None = None
    for number, (family, kind, protocol, _, address) in enumerate(addresses):
        left = (deadline - time.monotonic()) / (len(addresses) - number)
        try:
            return _open(family, kind, protocol, address, timeout_s=max(left, 0.1))
        except OSError as error:
            problem = error
    if problem is None or isinstance(problem, TimeoutError):
        why = f"nothing answers within {timeout_s:g} s"
    else:
        why = problem.strerror or str(problem)
    raise MachineError(
        f"{hop.subject}: cannot connect to {hop.host} port {hop.port}: {why}",
        hint=f"is the machine up, and sshd on it? try: ssh -p {hop.port} {hop.host}",
    ) from problem


def wait_for_words(sock: socket.socket, *, timeout_s: float) -> bool:
    """Whether the other side says something within the time, or hangs up; nothing is taken from the socket."""
    with selectors.DefaultSelector() as ready:
        ready.register(sock, selectors.EVENT_READ)
        return bool(ready.select(timeout_s))


def _resolve(hop: Hop, timeout_s: float) -> list[tuple[Any, ...]]:
    """The addresses of the host. A name server that does not answer would hold us up for longer than our time."""
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(hop.host.partition("%")[0])
        return list(socket.getaddrinfo(hop.host, hop.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
    found: list[Any] = []

    def ask() -> None:
        try:
            found.append(list(socket.getaddrinfo(hop.host, hop.port, type=socket.SOCK_STREAM)))
        except (OSError, UnicodeError) as error:
            found.append(error)

    asking = threading.Thread(target=ask, name=f"resolve-{hop.host}", daemon=True)
    asking.start()
    asking.join(timeout_s)
    answer = found[0] if found else TimeoutError(f"no answer from the name servers within {timeout_s:g} s")
    if isinstance(answer, list):
        return answer
    why = answer.strerror if isinstance(answer, OSError) and answer.strerror else answer
    raise MachineError(
        f"{hop.subject}: no machine is called {hop.host}: {why}", hint="check the address in the compute file"
    ) from answer


def _open(family: int, kind: int, protocol: int, address: Any, *, timeout_s: float) -> PromptSocket:
    sock = PromptSocket(family, kind, protocol)
    try:
        sock.settimeout(timeout_s)
        sock.connect(address)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if os.uname().sysname == "Linux":
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_IDLE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, _KEEPALIVE_INTERVAL_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, _KEEPALIVE_COUNT)
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_USER_TIMEOUT, _UNACKNOWLEDGED_LIMIT_MS)
    except BaseException:
        sock.close()
        raise
    return sock
