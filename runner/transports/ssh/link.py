"""One channel to a part of the sidecar on a node: bytes in, bytes out, and the last words of what went wrong."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from runner.errors import MachineError
from runner.transports.ssh.landing import Landing

if TYPE_CHECKING:
    from paramiko import Channel

    from runner.transports.ssh.connection import Connection

# Larger: more of it is copied out of the cold. Smaller: more turns of the interpreter.
_PIECE_BYTES = 256 * 1024
_STDERR_KEPT_BYTES = 8 * 1024
# How often standard error is emptied while nothing arrives, and while it floods; a full one would stop the other side.
_LOOK_S = 1.0
_FLOOD_LOOK_S = 0.02
# A server that says the end of the output, and then nothing more, does not keep us for longer.
_STATUS_LIMIT_S = 2.0
# `write` hands over at most this much at once, so that a deadline is looked at between two pieces.
_WRITE_BYTES = 32 * 1024


class Pipe:
    """The channel with a buffer of its own. One thread reads, one writes; both may be ended by `close`."""

    def __init__(self, channel: Channel, subject: str) -> None:
        self._channel = channel
        self._subject = subject
        # What was received, of the first piece only what lies behind `_used`; joined once, when it is read.
        self._pieces: deque[bytes] = deque()
        self._used = 0
        self._size = 0
        self._stderr = bytearray()

    def execute(self, command: str, deadline: float) -> None:
        """Runs `command` by the login shell. Raises MachineError."""
        from paramiko.ssh_exception import SSHException

        self._channel.settimeout(max(0.1, deadline - time.monotonic()))
        try:
            self._channel.exec_command(command)
        except (SSHException, OSError, EOFError) as error:
            raise MachineError(f"{self._subject}: the server runs no command: {str(error) or 'it hung up'}") from error

    def read(self, size: int, limit_s: float | None) -> bytes:
        """`size` bytes, or fewer at the end. Raises TimeoutError where nothing at all arrives for `limit_s`."""
        while self._size < size:
            deadline = None if limit_s is None else time.monotonic() + limit_s
            if not self._fill(deadline):
                break
        return self._take(min(size, self._size))

    def read_line(self, limit_bytes: int, deadline: float) -> bytes:
        """Up to and with the next newline; without one at the end, or at the limit. Raises TimeoutError."""
        searched = 0
        while True:
            content = self._take(self._size)
            self._pieces.append(content)
            self._size = len(content)
            found = content.find(b"\n", searched)
            if found >= 0 or self._size >= limit_bytes:
                return self._take(found + 1 if found >= 0 else limit_bytes)
            searched = self._size
            if not self._fill(deadline):
                return self._take(self._size)

    def _fill(self, deadline: float | None) -> bool:
        """Waits for bytes; False at the end. Raises TimeoutError at the deadline."""
        while True:
            look_s = _FLOOD_LOOK_S if self._drain_stderr() else _LOOK_S
            left = look_s if deadline is None else min(look_s, deadline - time.monotonic())
            if left <= 0:
                raise TimeoutError(f"{self._subject}: nothing arrives")
            self._channel.settimeout(left)
            try:
                piece = self._channel.recv(_PIECE_BYTES)
            except TimeoutError:
                continue
            if piece:
                self._pieces.append(piece)
                self._size += len(piece)
            return bool(piece)

    def _take(self, size: int) -> bytes:
        """The first `size` bytes of what is there."""
        self._size -= size
        taken: list[bytes | memoryview] = []
        while size:
            piece = memoryview(self._pieces[0])[self._used :]
            taken.append(piece[:size])
            if size < len(piece):
                self._used += size
                break
            size -= len(piece)
            self._used = 0
            self._pieces.popleft()
        return b"".join(taken)

    def write(self, content: bytes, deadline: float | None = None) -> None:
        """Writes it all. Raises OSError where the channel is closed, TimeoutError at the deadline."""
        from paramiko.ssh_exception import SSHException

        view = memoryview(content)
        while view:
            if deadline is not None and time.monotonic() > deadline:
                raise TimeoutError(f"{self._subject}: nothing is taken")
            try:
                view = view[self._channel.send(bytes(view[:_WRITE_BYTES])) :]
            except TimeoutError:
                # The reader sets one timeout for both directions: its own look-around is no reason to give up.
                if self._channel.closed:
                    raise OSError(f"{self._subject}: the channel is closed") from None
            except (EOFError, SSHException) as error:  # What paramiko says of a socket that ended while it wrote.
                raise OSError(f"{self._subject}: the connection ended") from error

    def _drain_stderr(self) -> bool:
        """Takes what is there, keeps the end of it; says whether there was anything."""
        has_taken = False
        while self._channel.recv_stderr_ready():
            self._stderr += self._channel.recv_stderr(_PIECE_BYTES)
            del self._stderr[:-_STDERR_KEPT_BYTES]
            has_taken = True
        return has_taken

    @property
    def stderr_tail(self) -> bytes:
        """The end of what was written to standard error."""
        self._drain_stderr()
        return bytes(self._stderr)

    def exit_status(self) -> int | None:
        """The exit status of the command, once the channel has ended; None where the connection ended before it."""
        # It comes just behind the end of the output, if at all; a connection that ends sets the event too.
        status = self._channel.exit_status if self._channel.status_event.wait(_STATUS_LIMIT_S) else -1
        return None if status < 0 else status

    def close(self) -> None:
        """Ends both directions."""
        self._channel.close()


class _Incoming:
    def __init__(self, link: SshLink) -> None:
        self._link = link

    def read(self, size: int, /) -> bytes:
        """`size` bytes, or fewer at the end. Raises TimeoutError after the link's `silence_limit_s`."""
        return self._link.pipe.read(size, self._link.silence_limit_s)


class _Outgoing:
    def __init__(self, link: SshLink) -> None:
        self._link = link

    def write(self, content: bytes, /) -> int:
        """Sends it all; waits while the other side takes nothing. Raises OSError once the link is closed."""
        limit_s = self._link.silence_limit_s
        self._link.pipe.write(content, None if limit_s is None else time.monotonic() + limit_s)
        return len(content)

    def flush(self) -> None:
        """Nothing waits here."""


class SshLink:
    """A link to a part of the sidecar that landed on a node.

    `silence_limit_s` may be set at any time: a read or write that makes no progress for so long raises TimeoutError.
    """

    def __init__(self, connection: Connection, pipe: Pipe, landing: Landing) -> None:
        self._connection = connection
        self.pipe = pipe
        self.landing = landing
        self.silence_limit_s: float | None = None
        self.incoming = _Incoming(self)
        self.outgoing = _Outgoing(self)

    @property
    def notes(self) -> tuple[str, ...]:
        """How the node was reached, and what it has to do without: sentences for its `55_` log."""
        landing = self.landing
        version = ".".join(map(str, landing.python_version))
        how = "shipped the sidecar" if landing.is_shipped else "the sidecar was there already"
        reached = f"Reached {landing.user}@{landing.hostname} at {landing.peer_address}: Python {version}; {how}"
        return (reached, *landing.notes)

    @property
    def address(self) -> str | None:
        """The node's numeric address as it was reached from here."""
        return self.landing.peer_address or None

    @property
    def last_words(self) -> str:
        """What the part wrote to standard error, or what the server said when it hung up; for a message."""
        return self.pipe.stderr_tail.decode("utf-8", "replace").strip() or self._connection.last_words

    @property
    def exit_code(self) -> int | None:
        """The exit code of the agent; None where the connection ended before it."""
        return self.pipe.exit_status()

    def close(self) -> None:
        """Ends the connection; the node's supervisor and processes go on."""
        self._connection.close()
