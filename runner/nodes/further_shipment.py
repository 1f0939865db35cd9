"""What may be sent to a node besides its snapshot: the port that images and data sets have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from sidecar.contract.frames import Frame


class FurtherShipment(Protocol):
    """Something on its way to one node; a link that ends brings it as far as it came."""

    is_complete: bool

    @property
    def of(self) -> str:
        """What frames about it say that they are about."""

    def questions(self) -> list[Frame]:
        """Frames that ask the node what it lacks."""

    def take_answer(self, body: Mapping[str, Any]) -> Iterator[Frame]:
        """What the node's answer asks for. Raises ValueError for an answer that no node gives."""
