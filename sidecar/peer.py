"""The agent's end of a link: it never waits, neither for the rest of a frame nor for room to write.

An agent that hung in a write to a dead connection could neither carry out an order nor notice that nobody is there.
"""

from __future__ import annotations

import itertools
import os
from collections import deque
from typing import Deque, Iterator

from sidecar.contract.frames import Frame, FrameBuffer, encode_head

_READ_BYTES = 256 * 1024
# Below it more frames are put together at once; above it they would only wait here instead of in their files.
_BACKLOG_BYTES = 64 * 1024
# How many pieces go into one system call.
_PARTS = 16


class PeerGone(Exception):
    """The other side closed the link."""


class Peer:
    """The controller, behind two descriptors (which may be one socket)."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        self.incoming = incoming
        self.outgoing = outgoing
        for descriptor in (incoming, outgoing):
            os.set_blocking(descriptor, False)
        self._frames = FrameBuffer()
        self._waiting: Deque[memoryview] = deque()
        self._waiting_bytes = 0

    @property
    def has_backlog(self) -> bool:
        """Whether bytes wait for room: wait for `outgoing` to take more, then `flush`."""
        return bool(self._waiting)

    @property
    def has_room(self) -> bool:
        """Whether it makes sense to put more together."""
        return self._waiting_bytes < _BACKLOG_BYTES

    def send(self, frame: Frame) -> None:
        """Queues a frame and writes what can be written. Raises OSError where the link is gone."""
        for part in (encode_head(frame), frame.payload):
            if part:
                self._waiting.append(memoryview(part))
                self._waiting_bytes += len(part)
        self.flush()

    def flush(self) -> None:
        """Writes what can be written."""
        while self._waiting:
            try:
                count = os.writev(self.outgoing, list(itertools.islice(self._waiting, _PARTS)))
            except BlockingIOError:
                return
            self._waiting_bytes -= count
            while count and count >= len(self._waiting[0]):
                count -= len(self._waiting.popleft())
            if count:
                self._waiting[0] = self._waiting[0][count:]

    def receive(self) -> Iterator[Frame]:
        """Every frame that has arrived whole. Raises PeerGone at the link's end, BrokenFrame for foreign bytes."""
        try:
            content = os.read(self.incoming, _READ_BYTES)
        except BlockingIOError:
            return
        if not content:
            raise PeerGone
        yield from self._frames.feed(content)
