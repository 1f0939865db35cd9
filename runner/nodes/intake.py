"""Takes the files that a node sends into the run folder, byte by byte where they belong.

A file's length here is the offset that the node is asked for, proved by a hash of its last bytes. So a repeated frame
adds nothing, a lost one is sent again, and whoever dies on either side loses nothing.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path

from runner.nodes import place
from runner.nodes.claims import Claims
from sidecar.contract.frames import TAIL_BYTES, BrokenFrame, Frame, FrameKind
from sidecar.contract.layout import RunLayout
from sidecar.contract.travel import may_travel, waits_for_release

# A node that announces more than this is not counted on to stop.
_STREAM_LIMIT = 1_000_000
_OPEN_LIMIT = 16
# Nobody can be helped at once where these are the reason: the disk, or the person's quota, is full, or read-only.
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})


@dataclass(slots=True, kw_only=True)
class _Stream:
    """One file on its way. `length` is what is here; `generation` is raised whenever the node is asked anew."""

    path: str
    destination: str
    mode: int
    length: int = 0
    generation: int = 0
    is_asked: bool = False


class Intake:
    """All streams of one node; `begin` at every new link."""

    def __init__(self, run: RunLayout, node_id: str, claims: Claims) -> None:
        self._run = run
        self._node_id = node_id
        self._claims = claims
        self._post: Callable[[Frame], None] = lambda _frame: None
        self._streams: dict[int, _Stream] = {}
        self._numbers: dict[str, int] = {}
        self._waiting: dict[str, tuple[int, int]] = {}
        self._open: OrderedDict[int, int] = OrderedDict()
        self._generation = 0
        self._are_outputs_open = False
        self._unwanted: Set[str] = frozenset()
        self._guard = threading.RLock()
        self.taken_bytes = 0

    def begin(self, post: Callable[[Frame], None]) -> None:
        """A new link: the node announces everything once more."""
        with self._guard:
            self.close()
            self._post = post
            self._streams.clear()
            self._numbers.clear()
            self._waiting.clear()
            self.taken_bytes = 0

    def close(self) -> None:
        """Closes every file."""
        with self._guard:
            while self._open:
                os.close(self._open.popitem()[1])

    def take(self, frame: Frame) -> None:
        """FILE, RESTART or DATA of a file. Raises BrokenFrame for nonsense, OSError where bytes cannot be kept."""
        with self._guard:
            if frame.kind is FrameKind.FILE:
                self._announced(frame)
            elif frame.kind is FrameKind.RESTART:
                self._restart(frame)
            else:
                self._take_bytes(frame)

    def open_outputs(self, *, but: Set[str]) -> None:
        """From now on files that nodes claim in their order at the end are asked for, too, except `but`."""
        with self._guard:
            if self._are_outputs_open:
                return
            self._unwanted = but
            for path, (number, mode) in list(self._waiting.items()):
                self._ask_for(number, path, mode)
                del self._waiting[path]
            self._are_outputs_open = True  # Now: where the disk is full, the caller comes again.

    def place_of(self, path: str) -> Path | None:
        """Where the bytes of the node's file `path` go; None while it was not asked for."""
        with self._guard:
            number = self._numbers.get(path)
            return None if number is None else self._run.root / self._streams[number].destination

    def length_of(self, path: str) -> int | None:
        """How many bytes of the node's file `path` are here; None while it was not asked for.

        Asks for it again where that had failed. Raises OSError where it fails still.
        """
        with self._guard:
            number = self._numbers.get(path)
            if number is None:
                return None
            stream = self._streams[number]
            if not stream.is_asked:
                self._want(number, stream)
            return stream.length

    def begin_again(self, path: str) -> None:
        """Puts what is here of `path` aside and asks for all of it: it is not what the node has. Raises OSError."""
        with self._guard:
            number = self._numbers.get(path)
            if number is not None:
                self._ask_anew(number, self._streams[number])

    def _announced(self, frame: Frame) -> None:
        body = frame.body
        path, mode = body.get("path"), body.get("mode")
        if not isinstance(path, str) or not isinstance(mode, int) or not may_travel(path, self._node_id):
            raise BrokenFrame(f"a file may not travel: {path!r}")
        if len(self._streams) >= _STREAM_LIMIT:
            raise BrokenFrame(f"more than {_STREAM_LIMIT} files")
        if waits_for_release(path) and not self._are_outputs_open:
            self._waiting[path] = (frame.stream, mode)
        else:
            self._ask_for(frame.stream, path, mode)

    def _ask_for(self, number: int, path: str, mode: int) -> None:
        if path in self._unwanted:
            return
        destination = self._claims.destination(path, self._node_id)
        stream = _Stream(path=path, destination=destination, mode=mode)
        self._streams[number] = stream
        self._numbers[path] = number
        self._want(number, stream)

    def _want(self, number: int, stream: _Stream) -> None:
        descriptor = self._descriptor(number, stream)
        stream.length = os.fstat(descriptor).st_size
        count = min(stream.length, TAIL_BYTES)
        tail = os.pread(descriptor, count, stream.length - count)
        # From here on nothing can fail: a frame whose handling failed is handled again, and must be as good as new.
        self._generation += 1
        stream.generation = self._generation
        stream.is_asked = True
        proof = {"tail_bytes": count, "tail_sha256": hashlib.sha256(tail).hexdigest()}
        payload = json.dumps(proof).encode("ascii")
        self._post(Frame(FrameKind.WANT, payload, number, stream.generation, stream.length))

    def _restart(self, frame: Frame) -> None:
        stream = self._streams.get(frame.stream)
        if stream is not None and frame.generation == stream.generation:
            self._ask_anew(frame.stream, stream)

    def _ask_anew(self, number: int, stream: _Stream) -> None:
        self._forget(number)
        stream.is_asked = False
        place.put_aside(self._run.root, stream.destination)
        self._want(number, stream)

    def _take_bytes(self, frame: Frame) -> None:
        stream = self._streams.get(frame.stream)
        if stream is None:
            raise BrokenFrame(f"bytes of stream {frame.stream}, which was never asked for")
        if frame.generation != stream.generation:
            self.taken_bytes += len(frame.payload)
            return  # Sent before the node heard that it should begin again.
        if frame.offset > stream.length:
            raise BrokenFrame(f"{stream.path} goes on at {stream.length}, not at {frame.offset}")
        content = memoryview(frame.payload)[stream.length - frame.offset :]
        descriptor = self._descriptor(frame.stream, stream)
        while content:
            count = os.pwrite(descriptor, content, stream.length)
            stream.length += count
            content = content[count:]
        self.taken_bytes += len(frame.payload)

    def _descriptor(self, number: int, stream: _Stream) -> int:
        descriptor = self._open.get(number)
        if descriptor is None:
            while len(self._open) >= _OPEN_LIMIT:
                os.close(self._open.popitem(last=False)[1])
            descriptor = place.open_file(self._run.root, stream.destination, stream.mode)
            self._open[number] = descriptor
        self._open.move_to_end(number)
        return descriptor

    def _forget(self, number: int) -> None:
        descriptor = self._open.pop(number, None)
        if descriptor is not None:
            os.close(descriptor)

    def read_seal(self) -> bytes:
        """What has arrived of the node's seal. Raises OSError where it cannot be read."""
        try:
            return self._run.seal(self._node_id).read_bytes()
        except FileNotFoundError:
            return b""
