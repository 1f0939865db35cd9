"""Takes the contents of a snapshot from the controller into the node's store: only those that it lacks, by hash.

A content that came half stays as it is, so that even a connection that lives for a few kilobytes brings it further.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Set

from sidecar.contract import publish
from sidecar.contract.frames import BrokenFrame, Frame
from sidecar.contract.stores import SnapshotsLayout

_READ_BYTES = 1024 * 1024
MANIFEST = "manifest"


class _Content(NamedTuple):
    sha256: str
    size: int
    place: Path
    partial: Path


class Contents:
    """The store of one node, for one link of one run; runs that bring the same contents do not disturb each other."""

    def __init__(self, store: Path, node_id: str, run_id: str) -> None:
        self._layout = SnapshotsLayout(store)
        self._ending = f".{node_id}.{run_id}.part"
        self._asked: Dict[int, _Content] = {}
        self._missing: Set[int] = set()
        self._is_last_asked = False

    def need(self, body: Dict[str, Any]) -> Dict[str, Any]:
        """The controller's list, in parts: {first: number, contents: [[sha256, size, kind]], is_last}.

        Returns the answer: {missing: [[number, bytes that are there]], is_complete}. Raises BrokenFrame for nonsense.
        """
        missing: List[List[int]] = []
        for number, (sha256, size, kind) in enumerate(body["contents"], int(body["first"])):
            content = self._content(str(sha256), int(size), str(kind))
            self._asked[number] = content
            if content.place.exists():
                content.partial.unlink(missing_ok=True)  # Another run was faster.
            else:
                self._missing.add(number)
                missing.append([number, _size(content.partial)])
        self._is_last_asked = self._is_last_asked or bool(body["is_last"])
        return {"missing": missing, "is_complete": self.is_complete}

    @property
    def is_complete(self) -> bool:
        """Whether everything that was asked for is there."""
        return self._is_last_asked and not self._missing

    def _content(self, sha256: str, size: int, kind: str) -> _Content:
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise BrokenFrame(f"not a hash: {sha256!r}")
        place = self._layout.manifest(sha256) if kind == MANIFEST else self._layout.object(sha256)
        return _Content(sha256, size, place, self._layout.incoming / f"{sha256}{self._ending}")

    def discard(self) -> None:
        """Removes what has come only half; the run is over."""
        for partial in self._layout.incoming.glob(f"*{self._ending}"):
            partial.unlink(missing_ok=True)

    def take(self, frame: Frame) -> Dict[str, Any]:
        """Some bytes of a content; returns the answer as `need` does, empty while there is nothing to say.

        Raises OSError where they cannot be kept.
        """
        content = self._asked.get(frame.stream)
        if content is None or frame.stream not in self._missing:
            return {}
        content.partial.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(content.partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if os.fstat(descriptor).st_size != frame.offset:
                raise BrokenFrame(f"content {content.sha256} does not go on at {frame.offset}")
            os.lseek(descriptor, frame.offset, os.SEEK_SET)
            publish.write_all(descriptor, frame.payload)
            if frame.offset + len(frame.payload) < content.size:
                return {}
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if _sha256(content.partial) != content.sha256:
            content.partial.unlink()
            return {"missing": [[frame.stream, 0]], "is_complete": False}
        content.place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(content.partial, content.place)
        self._missing.discard(frame.stream)
        return {"missing": [], "is_complete": True} if self.is_complete else {}


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def _sha256(path: Path) -> str:
    import hashlib  # Not needed where the node has everything.

    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as stream:
        while content := stream.read(_READ_BYTES):
            digest.update(content)
    return digest.hexdigest()
