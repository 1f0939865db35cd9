"""Opens one SSH connection, by way of jump hosts where there are any: socket, handshake, host key, login, in order.

    dial -> handshake -> check the host key -> authenticate -> channel to the next hop -> handshake -> ...

Nothing that is secret is sent before the key of the server at the other end was accepted.
"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.errors import MachineError
from runner.spec.compute import ACCEPT_NEW
from runner.transports.ssh.addresses import Hop
from runner.transports.ssh.authentication import Secrets, authenticate
from runner.transports.ssh.host_key import check_host_key, wanted_algorithms
from runner.transports.ssh.known_hosts import HostKey, KnownHosts
from runner.transports.ssh.sockets import dial, wait_for_words

if TYPE_CHECKING:
    from paramiko import Channel

    from runner.transports.ssh.wire import Wire

# Received at once at most. Smaller: a long round trip is slow. Larger: paramiko moves its whole backlog at every read
# (measured: 16 MiB is 0.28 times as fast as 1 MiB).
WINDOW_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long each step may take, in seconds. Too small: slow machines seem dead. Too large: dead ones hold a run up.

    `handshake_s` begins when the port has answered; `login_s` covers every attempt to log in to one server.
    """

    dial_s: float = 15.0
    handshake_s: float = 15.0
    login_s: float = 15.0
    channel_s: float = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Whose keys are accepted. `fix` is the command that a person types to accept a node's key."""

    known: KnownHosts
    policy: str
    fix: str

    @property
    def is_accepting_new(self) -> bool:
        """Whether a machine that no file knows may be accepted without a person."""
        return self.policy == ACCEPT_NEW


class Connection:
    """A login on one server, with the connections to the jump hosts that it hangs on."""

    def __init__(self, wires: Sequence[Wire], hop: Hop, peer_address: str) -> None:
        self._wires = tuple(wires)
        self.hop = hop
        self.peer_address = peer_address

    @property
    def last_words(self) -> str:
        """What the server said when it hung up; empty where it said nothing."""
        return self._wires[-1].last_words

    @property
    def is_alive(self) -> bool:
        """Whether the connection has not ended yet, as far as this side knows."""
        return self._wires[-1].is_active()

    def open_session(self, *, timeout_s: float) -> Channel:
        """A channel that a command can be run in. Raises MachineError."""
        from paramiko.ssh_exception import ChannelException, SSHException

        try:
            return self._wires[-1].session(window_bytes=WINDOW_BYTES, timeout_s=timeout_s)
        except ChannelException as error:
            raise MachineError(f"{self.hop.subject}: the server allows no session: {error.text}") from error
        except (SSHException, OSError, EOFError) as error:
            why = self.last_words or str(error) or "the connection ended"
            raise MachineError(f"{self.hop.subject}: no session could be opened: {why}") from error

    def calm_down(self) -> None:
        """From now on bytes count, and not the single message."""
        for wire in self._wires:
            wire.calm_down()

    def close(self) -> None:
        """Ends the connection, then those it hangs on; what the node started in sessions of their own goes on."""
        for wire in reversed(self._wires):
            wire.hang_up()


def connect(
    route: Sequence[Hop],
    trust: Trust,
    secrets: Secrets,
    limits: Limits,
    *,
    on_answer: Callable[[], None] = lambda: None,
) -> Connection:
    """Logs in to every hop of the route. Raises MachineError that names the hop and the step.

    `on_answer` is called once the first server has said something: what is dead or silent never gets so far.
    """
    wires: list[Wire] = []
    last = route[-1]
    try:
        sock: socket.socket | Channel
        with _during("reached"):
            sock = first = dial(route[0], timeout_s=limits.dial_s)
            peer_address = "" if len(route) > 1 else _numeric(first)
            if not wait_for_words(first, timeout_s=limits.handshake_s):
                first.close()
                raise _no_ssh(route[0], "answers nothing", limits.handshake_s)
        on_answer()
        for index, hop in enumerate(route):
            with _during("reached"):
                if index > 0:
                    sock = _forward(wires[-1], route[index - 1], hop, limits)
                algorithms = wanted_algorithms(trust.known, hop)
                wire = shake_hands(sock, hop, algorithms=algorithms, timeout_s=limits.handshake_s)
            wires.append(wire)
            with _during("host key"):
                check_host_key(
                    wire.offered_key, hop, trust.known, fix=trust.fix, is_accepting_new=trust.is_accepting_new
                )
            wire.auth_timeout = limits.login_s
            with _during("login"):
                authenticate(wire, hop, secrets)
    except NoCommonKeyType as error:
        _close(wires)
        with _during("host key"):
            check_host_key(
                offered_key(route, trust, secrets, limits, upto=error.hop),
                error.hop,
                trust.known,
                fix=trust.fix,
                is_accepting_new=trust.is_accepting_new,
            )
            raise MachineError(f"{error.hop.subject}: {error}", is_final=True) from error
    except BaseException:
        _close(wires)
        raise
    return Connection(wires, last, peer_address)


@contextlib.contextmanager
def _during(step: str) -> Iterator[None]:
    """Notes in a MachineError at which step it happened."""
    try:
        yield
    except MachineError as error:
        error.step = error.step or step
        raise


def offered_key(
    route: Sequence[Hop], trust: Trust, secrets: Secrets, limits: Limits, *, upto: Hop, kind: str | None = None
) -> HostKey:
    """The key that a hop of the route offers, without logging in to it; hops before it are logged in to as always.

    `kind` asks for one key type only. Raises NoCommonKeyType where the server has none of that type, and MachineError.
    """
    from runner.transports.ssh.wire import algorithms_of

    before = list(route[: list(route).index(upto)])
    way = connect(before, trust, secrets, limits) if before else None
    try:
        sock = (
            dial(upto, timeout_s=limits.dial_s) if way is None else _forward(way._wires[-1], before[-1], upto, limits)
        )
        algorithms = None if kind is None else algorithms_of(kind)
        wire = shake_hands(sock, upto, algorithms=algorithms, timeout_s=limits.handshake_s)
        try:
            return wire.offered_key
        finally:
            wire.hang_up()
    finally:
        if way is not None:
            way.close()


class NoCommonKeyType(MachineError):
    """The server has none of the key types it was asked for."""

    def __init__(self, hop: Hop) -> None:
        super().__init__(f"{hop.subject}: the server offers no host key of a type that is known of it", is_final=True)
        self.hop = hop


def shake_hands(sock: socket.socket | Channel, hop: Hop, *, algorithms: Sequence[str] | None, timeout_s: float) -> Wire:
    """Agrees on keys with the server at the other end. Raises MachineError within the time; the socket is closed then.

    `algorithms` are the host key algorithms to ask for; None asks for all.
    """
    from paramiko.ssh_exception import IncompatiblePeer, SSHException

    from runner.transports.ssh.wire import Wire

    wire = Wire(sock, algorithms=algorithms, timeout_s=timeout_s)
    started = time.monotonic()
    try:
        is_answered = wire.negotiate(timeout_s)
    except IncompatiblePeer as error:
        wire.hang_up()
        if "host key" in str(error):
            raise NoCommonKeyType(hop) from error
        raise MachineError(
            f"{hop.subject}: {hop.place} speaks no algorithm that the runner accepts: {error}", is_final=True
        ) from error
    except (SSHException, OSError, EOFError, ValueError) as error:
        wire.hang_up()
        is_late = time.monotonic() - started >= timeout_s * 0.9
        raise _no_ssh(hop, "answers nothing" if is_late else _short(error), timeout_s) from error
    if not is_answered:
        wire.hang_up()
        raise _no_ssh(hop, "is too slow", timeout_s)
    return wire


def _no_ssh(hop: Hop, what: str, timeout_s: float) -> MachineError:
    text = (
        f"{hop.subject}: {hop.host} port {hop.port} takes connections, but no SSH server spoke within {timeout_s:g} s"
    )
    return MachineError(f"{text} ({what})", hint=f"is it the right port? try: ssh -v -p {hop.port} {hop.host}")


def _short(error: BaseException) -> str:
    text = (str(error) or "it hung up").splitlines()[0]
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:120]


def _forward(wire: Wire, by: Hop, to: Hop, limits: Limits) -> Channel:
    """A channel from a jump host on to the next server."""
    from paramiko.ssh_exception import ChannelException, SSHException

    try:
        return wire.open_channel(
            "direct-tcpip", (to.host, to.port), ("127.0.0.1", 0), window_size=WINDOW_BYTES, timeout=limits.dial_s
        )
    except ChannelException as error:
        raise MachineError(
            f"{to.subject}: {by.host} does not get through to {to.host} port {to.port}: {error.text}"
        ) from error
    except (SSHException, OSError, EOFError) as error:
        why = wire.last_words or str(error) or "the connection ended"
        raise MachineError(
            f"{to.subject}: {by.host} does not get through to {to.host} port {to.port}: {why}"
        ) from error


def _numeric(sock: socket.socket) -> str:
    with contextlib.suppress(OSError):
        return str(sock.getpeername()[0])
    return ""


def _close(wires: Sequence[Wire]) -> None:
    for wire in reversed(wires):
        wire.hang_up()
