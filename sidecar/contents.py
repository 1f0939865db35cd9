"""Takes what the controller ships into the node's stores: of a snapshot, an image or data sets what they lack, by hash.

A content that came half stays as it is, so that even a connection that lives for a few kilobytes brings it further.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Set

from sidecar.contract import publish
from sidecar.contract.frames import (
    IMAGE_STREAMS,
    INPUT_STREAMS,
    OF_IMAGE,
    OF_INPUTS,
    BrokenFrame,
    Frame,
    FrameKind,
    json_frame,
)
from sidecar.contract.orders import NodePlan
from sidecar.contract.stores import InputsLayout, LayersLayout, SnapshotsLayout
from sidecar.right_contents import hash_of, is_right, mark_right

_MIB = 2**20
# Less is not worth a look at the disk for each list; and this much is left for what the run itself has to say.
_MUCH_BYTES = 1024 * 1024
_SPARED_BYTES = 4 * 1024 * 1024
MANIFEST, LISTING = "manifest", "listing"
# What takes longer to hash than the controller may wait for a sign of life is hashed by a step, which nobody waits for
# in this way. Smaller: one more look at more files. Larger: a slow disk makes a node look dead.
_HASHED_AT_ONCE_BYTES = 64 * 1024 * 1024


class _Content(NamedTuple):
    sha256: str
    size: int
    place: Path
    partial: Path
    is_checked_later: bool
    # A content of a data set; the manifests and listings of these are kept as those of snapshots are.
    is_data: bool = False


class Contents:
    """The stores of one node, for one link of one run; runs that bring the same contents do not disturb each other."""

    def __init__(self, store: Path, node_id: str, run_id: str, *, layers: Optional[Path] = None) -> None:
        """`layers` is the store of parts of images; then those are what is taken, and no snapshot's."""
        self._layout = SnapshotsLayout(store)
        self._layers = None if layers is None else LayersLayout(layers)
        self._incoming = self._layout.incoming if self._layers is None else self._layers.incoming
        self._ending = f".{node_id}.{run_id}.part"
        self._asked: Dict[int, _Content] = {}
        self._missing: Set[int] = set()
        self._is_last_asked = False

    def need(self, body: Dict[str, Any]) -> Dict[str, Any]:
        """The controller's list, in parts: {first: number, contents: [[sha256, size, kind]], is_last, is_new}.

        One that `is_new` takes the place of an earlier list.
        Returns the answer: {missing: [[number, bytes that are there]], is_complete}. Raises BrokenFrame for nonsense.
        """
        missing: List[List[int]] = []
        if body.get("is_new"):
            self._asked, self._missing, self._is_last_asked = {}, set(), False
        for number, (sha256, size, kind) in enumerate(body["contents"], int(body["first"])):
            content = self._content(str(sha256), int(size), str(kind))
            self._asked[number] = content
            if self._has(content):
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

    def _has(self, content: _Content) -> bool:
        return content.place.exists()

    def _content(self, sha256: str, size: int, kind: str) -> _Content:
        _check_hash(sha256)
        if self._layers is not None:
            place = self._layers.blob(sha256)
        else:
            place = self._layout.manifest(sha256) if kind == MANIFEST else self._layout.object(sha256)
        # To hash some gigabytes takes longer than the controller waits for a sign of life: a layer is checked on its
        # way into the engine.
        return _Content(sha256, size, place, self._incoming / f"{sha256}{self._ending}", self._layers is not None)

    def discard(self) -> None:
        """Removes what has come only half; the run is over."""
        for partial in self._incoming.glob(f"*{self._ending}"):
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
            if not content.is_checked_later and not content.is_data:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if not content.is_checked_later:
            if hash_of(content.partial) != content.sha256:
                content.partial.unlink()
                return {"missing": [[frame.stream, 0]], "is_complete": False}
            if content.is_data:
                mark_right(content.partial)
        content.place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(content.partial, content.place)
        self._missing.discard(frame.stream)
        return {"missing": [], "is_complete": True} if self.is_complete else {}


class InputContents(Contents):
    """The node's store of data sets, for one link of one run."""

    def __init__(self, layout: InputsLayout, node_id: str, run_id: str) -> None:
        super().__init__(layout.root, node_id, run_id)
        self._inputs = layout
        self._is_refused = False

    def need(self, body: Dict[str, Any]) -> Dict[str, Any]:
        """As for any contents; raises OSError where there is not enough room for what the node lacks."""
        answer = super().need(body)
        lacking = sum(self._asked[number].size - _size(self._asked[number].partial) for number in self._missing)
        if lacking > _MUCH_BYTES:
            self._incoming.mkdir(parents=True, exist_ok=True)
            disk = os.statvfs(self._incoming)
            free = disk.f_bavail * disk.f_frsize
            if lacking + _SPARED_BYTES > free:
                sizes = f"{lacking / _MIB:,.1f} MiB are to come, {free / _MIB:,.1f} MiB are free"
                raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}: {sizes}", str(self._incoming))
        return answer

    def take(self, frame: Frame) -> Dict[str, Any]:
        """As for any contents; on a disk that is full all the same, what has come makes room for the run's end."""
        if self._is_refused:
            return {}
        try:
            return super().take(frame)
        except OSError:
            self._is_refused = True
            self.discard()
            raise

    def _content(self, sha256: str, size: int, kind: str) -> _Content:
        _check_hash(sha256)
        partial = self._incoming / f"{sha256}{self._ending}"
        if kind in (MANIFEST, LISTING):
            place = self._inputs.manifest(sha256) if kind == MANIFEST else self._inputs.listing(sha256)
            return _Content(sha256, size, place, partial, False)
        is_late = size > _HASHED_AT_ONCE_BYTES
        place = self._inputs.unchecked(sha256) if is_late else self._inputs.object(sha256)
        return _Content(sha256, size, place, partial, is_late, is_data=True)

    def _has(self, content: _Content) -> bool:
        if not content.is_data:
            return content.place.exists()
        place = self._inputs.object(content.sha256)
        if is_right(place, content.size):
            return True
        place.unlink(missing_ok=True)  # Somebody has written to it, or the power went before it was on the disk.
        return content.is_checked_later and _size(content.place) == content.size


class Shipped:
    """What is shipped for one run: a snapshot, data sets, and where its containers are made here, parts of an image."""

    def __init__(self, plan: NodePlan, node_root: Path) -> None:
        store = Path(plan.snapshot_store)
        layers = LayersLayout.of(store.parent).root
        self._node_root = node_root
        self._snapshot = Contents(store, plan.node_id, plan.run_id)
        self._image = Contents(store, plan.node_id, plan.run_id, layers=layers)
        self._inputs = InputContents(plan.input_store, plan.node_id, plan.run_id)

    def take(self, frame: Frame) -> Iterator[Frame]:
        """Takes a question or a piece; yields what is to be answered. Raises BrokenFrame for nonsense."""
        body = frame.body if frame.kind is FrameKind.NEED else {}
        kind = _of(frame, body)
        contents = {OF_IMAGE: self._image, OF_INPUTS: self._inputs}.get(kind or "", self._snapshot)
        try:
            answer = contents.need(body) if frame.kind is FrameKind.NEED else contents.take(frame)
        except OSError as error:
            what = {OF_IMAGE: "image", OF_INPUTS: "data set"}.get(kind or "", "snapshot")
            place = error.filename or self._node_root
            message = f"the {what} cannot be kept in {place}: {error.strerror}"
            yield json_frame(FrameKind.PROBLEM, {"message": message})
            return
        except (KeyError, TypeError, ValueError) as error:
            raise BrokenFrame(f"{frame.kind.name} is not what it should be: {error}") from error
        if answer:
            yield json_frame(FrameKind.LACK, answer if kind is None else {**answer, "of": kind})

    def discard(self) -> None:
        """Removes what has come only half; the run is over."""
        self._snapshot.discard()
        self._image.discard()
        self._inputs.discard()


def _of(frame: Frame, body: Dict[str, Any]) -> Optional[str]:
    """What a question or a piece is about; None: the snapshot."""
    if body:
        return body.get("of")
    if frame.stream >= INPUT_STREAMS:
        return OF_INPUTS
    return OF_IMAGE if frame.stream >= IMAGE_STREAMS else None


def _check_hash(sha256: str) -> None:
    if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
        raise BrokenFrame(f"not a hash: {sha256!r}")


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0
