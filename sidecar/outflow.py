"""Sends the files of a node's copy of the run folder to the controller, as they grow, from wherever it says it is.

The controller's file length is the offset, so nothing is remembered here and an agent may die at any time. Each file
that was announced and asked for is one stream:

announced --WANT--> flowing --shrunk, replaced, or other bytes than the controller has--> RESTART --WANT--> flowing
"""

from __future__ import annotations

import os
import stat
import time
from typing import Callable, Dict, Iterable, List, Mapping, Optional

from sidecar.contract.frames import TAIL_BYTES, Frame, FrameKind, json_frame
from sidecar.contract.layout import STATE, USER_LOGS, RunLayout
from sidecar.contract.travel import FINAL_FOLDERS, may_travel
from sidecar.window import Window

# What is looked at once more before a file is sent on from where it was; a cut file hardly has the same there.
_LAST_BYTES = 64
# Descriptors kept open; a file that is renamed or removed by its script flows on to its end through one.
_OPEN_LIMIT = 200
# Folders are walked for new files at most this often, and never for more than a tenth of the time.
_WALK_PAUSE_S = 0.5
_SHARE = 10.0


class _Stream:
    """One file under way."""

    def __init__(self, number: int, path: str) -> None:
        self.number = number
        self.path = path
        self.offset = 0
        self.generation = 0
        self.is_wanted = False
        self.descriptor: Optional[int] = None
        self.size = 0
        # The last bytes before the offset: other bytes there now, and the file was cut and has grown past it again.
        self.tail = b""


class Outflow:
    """All streams of one link. `send` queues a frame; `offset` 0 of the window is the link's beginning."""

    def __init__(self, run: RunLayout, node_id: str, send: Callable[[Frame], None], window: Window) -> None:
        self._run = run
        self._node_id = node_id
        self._send = send
        self._window = window
        self._streams: Dict[int, _Stream] = {}
        self._numbers: Dict[str, int] = {}
        self._turn: List[_Stream] = []
        self._next_walk = 0.0
        self._open_count = 0

    def discover(self) -> None:
        """Announces files that have appeared; looks into the folders only every now and then."""
        now = time.monotonic()
        if now < self._next_walk:
            return
        for path in self._files():
            self._announce(path)
        self._next_walk = time.monotonic() + max(_WALK_PAUSE_S, _SHARE * (time.monotonic() - now))

    def _files(self) -> Iterable[str]:
        root = os.fspath(self._run.root)
        for top in (os.fspath(self._run.azureml_logs), os.path.join(root, USER_LOGS), os.path.join(root, STATE)):
            yield from _walk(root, top)
        # A sealed copy of the run: the script is gone, `outputs/` is what it left.
        if self._run.seals.is_dir():
            for top in FINAL_FOLDERS:
                yield from _walk(root, os.path.join(root, top))

    def _announce(self, path: str) -> None:
        if path in self._numbers or not may_travel(path, self._node_id):
            return
        number = len(self._numbers) + 1
        try:
            mode = stat.S_IMODE(os.lstat(self._place(path)).st_mode)
        except OSError:
            return
        self._numbers[path] = number
        self._streams[number] = _Stream(number, path)
        body = json_frame(FrameKind.FILE, {"path": path, "mode": mode})
        self._send(body._replace(stream=number))

    def want(self, frame: Frame) -> None:
        """The controller asks for a stream from an offset on."""
        stream = self._streams.get(frame.stream)
        if stream is None:
            return
        self._release(stream)
        stream.generation, stream.offset, stream.is_wanted = frame.generation, frame.offset, True
        if stream not in self._turn:
            self._turn.append(stream)
        stream.tail = b""
        if frame.offset and not self._agrees(stream, frame.body):
            self._restart(stream)

    def _agrees(self, stream: _Stream, tail: Mapping[str, object]) -> bool:
        """Whether the bytes before the offset are ours too."""
        count = tail.get("tail_bytes")
        if not isinstance(count, int) or not 0 <= count <= min(TAIL_BYTES, stream.offset):
            return False
        descriptor = self._open(stream)
        if descriptor is None or os.fstat(descriptor).st_size < stream.offset:
            return False
        import hashlib  # Not needed by a link that begins with nothing.

        ours = os.pread(descriptor, count, stream.offset - count)
        stream.tail = ours[-_LAST_BYTES:]
        return hashlib.sha256(ours).hexdigest() == tail.get("tail_sha256")

    def _restart(self, stream: _Stream) -> None:
        stream.is_wanted = False
        self._release(stream)
        self._send(Frame(FrameKind.RESTART, b"{}", stream.number, stream.generation))

    def look(self) -> bool:
        """Looks how far the wanted files have grown; says whether there is anything to send."""
        has_more = False
        for stream in self._turn:
            if stream.is_wanted:
                self._measure(stream)
                has_more = has_more or stream.size > stream.offset
        self._turn = [stream for stream in self._turn if stream.is_wanted]
        return has_more

    def _measure(self, stream: _Stream) -> None:
        try:
            if stream.descriptor is None:
                stream.size = os.stat(self._place(stream.path)).st_size
            else:
                status = os.fstat(stream.descriptor)
                stream.size = status.st_size
                if stream.size == stream.offset and self._is_replaced(stream, status):
                    self._restart(stream)
                    return
        except OSError:
            return
        if stream.size < stream.offset:
            self._restart(stream)

    def _is_replaced(self, stream: _Stream, status: os.stat_result) -> bool:
        try:
            there = os.stat(self._place(stream.path))
        except OSError:
            return False  # Removed: what was in it has been sent.
        return (there.st_dev, there.st_ino) != (status.st_dev, status.st_ino)

    def pump(self, *, has_room: Callable[[], bool]) -> bool:
        """Sends as much as the window and `has_room` allow, a chunk a stream in turn; says whether it sent anything."""
        has_sent = False
        waiting = [stream for stream in self._turn if stream.is_wanted and stream.size > stream.offset]
        while waiting and has_room():
            for stream in list(waiting):
                room = min(self._window.room_bytes, self._window.chunk_bytes)
                if room <= 0 or not has_room():
                    return has_sent
                count = self._send_chunk(stream, min(room, stream.size - stream.offset))
                has_sent = has_sent or count > 0
                if count == 0 or stream.offset >= stream.size:
                    waiting.remove(stream)
        return has_sent

    def _send_chunk(self, stream: _Stream, count: int) -> int:
        descriptor = self._open(stream)
        if descriptor is None:
            return 0
        try:
            if os.pread(descriptor, len(stream.tail), stream.offset - len(stream.tail)) != stream.tail:
                self._restart(stream)
                return 0
            content = os.pread(descriptor, count, stream.offset)
        except OSError:
            return 0  # The node's disk fails: the seal will tell what is missing.
        if content:
            self._window.sent(len(content))
            self._send(Frame(FrameKind.DATA, content, stream.number, stream.generation, stream.offset))
            stream.offset += len(content)
            stream.tail = (stream.tail + content[-_LAST_BYTES:])[-_LAST_BYTES:]
        return len(content)

    def _open(self, stream: _Stream) -> Optional[int]:
        if stream.descriptor is None:
            if self._open_count >= _OPEN_LIMIT:
                self._close_idle()
            try:
                # A FIFO in place of a log must not block, and a link must not lead elsewhere.
                flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
                stream.descriptor = os.open(self._place(stream.path), flags)
            except OSError:
                return None
            self._open_count += 1
        return stream.descriptor

    def _close_idle(self) -> None:
        for stream in self._turn:
            if stream.descriptor is not None and stream.offset >= stream.size:
                self._release(stream)

    def _release(self, stream: _Stream) -> None:
        if stream.descriptor is not None:
            os.close(stream.descriptor)
            stream.descriptor = None
            self._open_count -= 1

    def _place(self, path: str) -> str:
        return os.path.join(self._run.root, path)


def _walk(root: str, top: str) -> Iterable[str]:
    """The regular files below `top`, relative to `root`; links are neither entered nor given."""
    for folder, folder_names, file_names in os.walk(top):
        folder_names[:] = sorted(name for name in folder_names if not os.path.islink(os.path.join(folder, name)))
        for name in sorted(file_names):
            path = os.path.join(folder, name)
            try:
                is_file = stat.S_ISREG(os.lstat(path).st_mode)
            except OSError:
                continue
            if is_file:
                yield os.path.relpath(path, root)
