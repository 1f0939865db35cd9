"""Ships parts of an image to a node: the ones that it lacks, each from the byte at which an earlier link broke."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.contract.frames import IMAGE_STREAMS, OF_IMAGE, Frame, FrameKind, json_frame
from sidecar.contract.stores import LayersLayout

# Larger: news waits behind it. Smaller: more turns of the interpreter.
_CHUNK_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A layer, or the configuration of an image, as it lies in the store."""

    sha256: str
    size: int


class ImageShipment:
    """The parts of one image on their way to one node."""

    of = OF_IMAGE

    def __init__(self, store: Path, parts: Sequence[Part]) -> None:
        self._layout = LayersLayout(store)
        self._parts = tuple(parts)
        self.is_complete = False
        # What the node had at the last answer, and what has been sent since.
        self._had_bytes = 0
        self._sent_bytes = 0
        self.resumed_bytes = 0

    @property
    def total_bytes(self) -> int:
        """The size of all parts."""
        return sum(part.size for part in self._parts)

    @property
    def done_bytes(self) -> int:
        """How much of it has been handed to the link, or was there."""
        return min(self._had_bytes + self._sent_bytes, self.total_bytes)

    def questions(self) -> list[Frame]:
        """The frame that asks the node what it lacks."""
        contents = [[part.sha256, part.size, "layer"] for part in self._parts]
        body = {"of": OF_IMAGE, "first": IMAGE_STREAMS, "contents": contents, "is_last": True}
        return [json_frame(FrameKind.NEED, body)]

    def take_answer(self, body: Mapping[str, Any]) -> Iterator[Frame]:
        """What the node's answer asks for. Raises ValueError for an answer that no node gives."""
        self.is_complete = self.is_complete or bool(body["is_complete"])
        missing = [(int(number) - IMAGE_STREAMS, int(offset)) for number, offset in body["missing"]]
        if any(not 0 <= number < len(self._parts) or offset < 0 for number, offset in missing):
            raise ValueError("the node asks for a part that nobody offered")
        if missing:
            lacking = sum(self._parts[number].size - offset for number, offset in missing)
            self._had_bytes, self._sent_bytes = self.total_bytes - lacking, 0
            self.resumed_bytes += sum(offset for _, offset in missing)
        return self._frames(missing)

    def _frames(self, missing: list[tuple[int, int]]) -> Iterator[Frame]:
        for number, offset in missing:
            part = self._parts[number]
            with open(self._layout.blob(part.sha256), "rb") as stream:
                stream.seek(min(offset, part.size))
                while True:
                    position = stream.tell()
                    chunk = stream.read(_CHUNK_BYTES)
                    self._sent_bytes += len(chunk)
                    yield Frame(FrameKind.BLOB, chunk, stream=IMAGE_STREAMS + number, offset=position)
                    if position + len(chunk) >= part.size:
                        break
