"""What has arrived on a channel and was not read yet, as the pieces that came.

paramiko's own buffer copies every byte into an array and out of it, and moves all the rest at every read: of a flood
that was a fifth of the controller's CPU. Imported by wire.py only, as it builds on paramiko.
"""

from __future__ import annotations

import threading
import time
from collections import deque

from paramiko.buffered_pipe import PipeTimeout


class Pieces:
    """Stands in for a channel's `in_buffer`, a BufferedPipe: paramiko's thread feeds, the channel's reader reads."""

    def __init__(self) -> None:
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._is_over = False
        self._news = threading.Condition()

    def set_event(self, event: threading.Event) -> None:
        """For `select` on a channel, which nobody here does."""
        raise NotImplementedError("a channel with pieces has no file number")

    def feed(self, data: bytes | str) -> None:
        """Takes in what has arrived."""
        piece = data.encode() if isinstance(data, str) else data
        with self._news:
            self._pieces.append(piece)
            self._size += len(piece)
            self._news.notify_all()

    def read_ready(self) -> bool:
        """Whether a read would bring something at once."""
        return self._size > 0

    def read(self, nbytes: int, timeout: float | None = None) -> bytes:
        """At most `nbytes`, whole pieces where they fit; empty at the end. Raises PipeTimeout."""
        deadline = None if timeout is None else time.monotonic() + timeout
        with self._news:
            while not self._size and not self._is_over:
                left = None if deadline is None else deadline - time.monotonic()
                if left is not None and left <= 0:
                    raise PipeTimeout
                self._news.wait(left)
            return self._take(nbytes)

    def empty(self) -> bytes:
        """Everything that is there; it is gone then."""
        with self._news:
            return self._take(self._size)

    def close(self) -> None:
        """Nothing more will come."""
        with self._news:
            self._is_over = True
            self._news.notify_all()

    def __len__(self) -> int:
        return self._size

    def _take(self, most: int) -> bytes:
        taken: list[bytes] = []
        count = 0
        while self._pieces and count + len(self._pieces[0]) <= most:
            taken.append(self._pieces.popleft())
            count += len(taken[-1])
        if self._pieces and not taken:
            taken.append(self._pieces[0][:most])
            self._pieces[0] = self._pieces[0][most:]
            count = len(taken[0])
        self._size -= count
        return b"".join(taken)
