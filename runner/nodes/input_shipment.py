"""Ships data sets to a node from where they lie: only the contents that it lacks, each from the byte it has come to."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.contract.frames import INPUT_STREAMS, OF_INPUTS, Frame, FrameKind, json_frame

# Larger: news waits behind it. Smaller: more turns of the interpreter.
_CHUNK_BYTES = 128 * 1024
# The node looks at each of them before it says anything else, and on a slow line as much else waits behind them.
_CONTENTS_PER_FRAME = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One content, and the file here that has it. `mtime_ns` is None for files of the runner's own."""

    sha256: str
    size: int
    kind: str
    path: Path
    mtime_ns: int | None = None


class InputShipment:
    """Parcels on their way to one node. `problem` says what went wrong here, in words."""

    of = OF_INPUTS

    def __init__(self, parcels: Sequence[Parcel]) -> None:
        self._parcels = tuple(parcels)
        self.is_complete = not self._parcels
        self.problem: str | None = None
        self._lacking: dict[int, int] = {}
        self.sent_bytes = 0

    def stop(self) -> None:
        """Sends nothing more of it; nobody waits for it any longer."""
        self.problem = self.problem or "it is not wanted any more"

    @property
    def lacking_bytes(self) -> int:
        """How much the node has said that it lacks."""
        return sum(self._lacking.values())

    @property
    def lacking_count(self) -> int:
        """How many contents it has said that it lacks."""
        return len(self._lacking)

    def questions(self) -> list[Frame]:
        """Frames that ask the node what it lacks."""
        frames = []
        for first in range(0, len(self._parcels), _CONTENTS_PER_FRAME):
            part = self._parcels[first : first + _CONTENTS_PER_FRAME]
            body = {
                "of": OF_INPUTS,
                "first": INPUT_STREAMS + first,
                "contents": [[parcel.sha256, parcel.size, parcel.kind] for parcel in part],
                "is_new": first == 0,
                "is_last": first + len(part) == len(self._parcels),
            }
            frames.append(json_frame(FrameKind.NEED, body))
        return frames

    def take_answer(self, body: Mapping[str, Any]) -> Iterator[Frame]:
        """What the node's answer asks for. Raises ValueError for an answer that no node gives."""
        self.is_complete = self.is_complete or bool(body["is_complete"])
        missing = [(int(number) - INPUT_STREAMS, int(offset)) for number, offset in body["missing"]]
        if any(not 0 <= number < len(self._parcels) or offset < 0 for number, offset in missing):
            raise ValueError("the node asks for a content that nobody offered")
        for number, offset in missing:
            self._lacking.setdefault(number, max(0, self._parcels[number].size - offset))
        return self._frames(missing)

    def _frames(self, missing: list[tuple[int, int]]) -> Iterator[Frame]:
        for number, offset in missing:
            if self.problem is not None:
                return
            try:
                yield from self._content(number, offset)
            except _ChangedError:
                path = self._parcels[number].path
                self.problem = f"{path} changed after the run was submitted"
            except OSError as error:
                self.problem = f"{error.filename or self._parcels[number].path}: {error.strerror}"

    def _content(self, number: int, offset: int) -> Iterator[Frame]:
        """The rest of a content; not one byte more than it had, and none of a file that is another by now."""
        parcel = self._parcels[number]
        with open(parcel.path, "rb", buffering=0) as stream:
            _check(parcel, stream.fileno())
            position = stream.seek(min(offset, parcel.size))
            while True:
                chunk = stream.read(min(_CHUNK_BYTES, parcel.size - position))
                if not chunk and position < parcel.size:
                    raise _ChangedError
                if position + len(chunk) == parcel.size:
                    _check(parcel, stream.fileno())
                self.sent_bytes += len(chunk)
                yield Frame(FrameKind.BLOB, chunk, stream=INPUT_STREAMS + number, offset=position)
                position += len(chunk)
                if position >= parcel.size:
                    return


class _ChangedError(Exception):
    """The file is not what it was when it was hashed."""


def _check(parcel: Parcel, descriptor: int) -> None:
    status = os.fstat(descriptor)
    if parcel.mtime_ns is not None and (status.st_size, status.st_mtime_ns) != (parcel.size, parcel.mtime_ns):
        raise _ChangedError
