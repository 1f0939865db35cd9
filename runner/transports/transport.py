"""The port: a transport opens links to one node's agent, and can do so again after a link is gone."""

from __future__ import annotations

from typing import Protocol

from sidecar.contract.frames import ByteReader


class ByteWriter(Protocol):
    """The way out of a link."""

    def write(self, content: bytes, /) -> object:
        """Hands over all of `content`. Raises OSError where the link is gone."""

    def flush(self) -> None:
        """Nothing waits on this side when it returns."""


class Link(Protocol):
    """One connection to a node's agent.

    `silence_limit_s` may be set where a network lies between: a read that gets nothing for so long raises TimeoutError.
    """

    silence_limit_s: float | None

    @property
    def incoming(self) -> ByteReader:
        """Bytes from the agent; reads block, and return fewer bytes than asked for only at the end."""

    @property
    def outgoing(self) -> ByteWriter:
        """Bytes to the agent."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of how the node was reached: sentences for its `55_` log."""

    @property
    def address(self) -> str | None:
        """The node's numeric address as it was reached from here; None on this machine."""

    @property
    def last_words(self) -> str:
        """The last lines that the other end wrote to standard error; for a message."""

    @property
    def exit_code(self) -> int | None:
        """How the agent ended by itself, once the link is closed; None where it was killed, or the way to it broke."""

    def close(self) -> None:
        """Ends the connection and whatever serves it; the node's supervisor and processes go on."""


class Transport(Protocol):
    """A way to one node."""

    @property
    def name(self) -> str:
        """For a person: `local`, `ssh gpu01`."""

    def connect(self) -> Link:
        """Opens a link. Raises MachineError where the node cannot be reached, within a time of its own."""
