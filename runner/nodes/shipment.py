"""Ships a snapshot to a node that has no folder in common with this machine: only the contents that it lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sidecar.contract import snapshot_manifest
from sidecar.contract.frames import Frame, FrameKind, json_frame
from sidecar.contract.stores import SnapshotsLayout

_CHUNK_BYTES = 64 * 1024
# A frame holds a megabyte; an entry has some 90 bytes.
_ENTRIES_PER_FRAME = 5000


class Shipment:
    """One snapshot on its way to one node."""

    def __init__(self, store: Path, snapshot_id: str) -> None:
        self._layout = SnapshotsLayout(store)
        self._snapshot_id = snapshot_id
        self._contents: list[tuple[str, int, str]] = []
        self.is_complete = False
        self.sent_bytes = 0

    def questions(self) -> list[Frame]:
        """Frames that ask the node what it lacks. Raises OSError or ValueError for a damaged store."""
        if not self._contents:
            self._contents = self._read_contents()
        frames = []
        for first in range(0, len(self._contents), _ENTRIES_PER_FRAME):
            part = self._contents[first : first + _ENTRIES_PER_FRAME]
            is_last = first + len(part) == len(self._contents)
            frames.append(
                json_frame(FrameKind.NEED, {"first": first, "contents": [list(c) for c in part], "is_last": is_last})
            )
        return frames

    def _read_contents(self) -> list[tuple[str, int, str]]:
        manifest = self._layout.manifest(self._snapshot_id)
        content = manifest.read_bytes()
        sizes = {
            str(entry["sha256"]): int(entry["size"]) for entry in snapshot_manifest.decode(content) if "sha256" in entry
        }
        # The manifest last: a store that has it has everything it names.
        return [(sha256, size, "object") for sha256, size in sizes.items()] + [
            (self._snapshot_id, len(content), "manifest")
        ]

    def take_answer(self, body: Mapping[str, Any]) -> Iterator[Frame]:
        """What the node's answer asks for. Raises ValueError for an answer that no node gives."""
        self.is_complete = self.is_complete or bool(body["is_complete"])
        missing = [(int(number), int(offset)) for number, offset in body["missing"]]
        if any(not 0 <= number < len(self._contents) or offset < 0 for number, offset in missing):
            raise ValueError("the node asks for a content that nobody offered")
        return self._frames(missing)

    def _frames(self, missing: list[tuple[int, int]]) -> Iterator[Frame]:
        for number, offset in missing:
            sha256, size, kind = self._contents[number]
            path = self._layout.manifest(sha256) if kind == "manifest" else self._layout.object(sha256)
            with open(path, "rb") as stream:
                stream.seek(min(offset, size))
                while True:
                    position = stream.tell()
                    chunk = stream.read(_CHUNK_BYTES)
                    self.sent_bytes += len(chunk)
                    yield Frame(FrameKind.BLOB, chunk, stream=number, offset=position)
                    if position + len(chunk) >= size:
                        break
