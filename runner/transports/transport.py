"""The port: a transport opens links to one node's agent, and can do so again after a link is gone."""

from __future__ import annotations

from typing import BinaryIO, Protocol


class Link(Protocol):
    """One connection to a node's agent."""

    @property
    def incoming(self) -> BinaryIO:
        """Bytes from the agent; reads block, and return fewer bytes than asked for only at the end."""

    @property
    def outgoing(self) -> BinaryIO:
        """Bytes to the agent."""

    def close(self) -> None:
        """Ends the connection and whatever serves it; the node's supervisor and processes go on."""


class Transport(Protocol):
    """A way to one node."""

    @property
    def name(self) -> str:
        """For a person: `local`, `ssh gpu01`."""

    def connect(self) -> Link:
        """Opens a link. Raises MachineError where the node cannot be reached, within a time of its own."""
