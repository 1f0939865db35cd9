"""How many bytes may be under way on a link: what arrives within half a second, so that news is never stuck behind.

A link of 1 KB/s with a megabyte under way would hold back the word that a rank has failed for a quarter of an hour.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Callable, Deque, Tuple

# The least, with which a link begins, still makes progress on the slowest modem; the most fills 40 MB/s at 100 ms.
_LEAST_BYTES = 2 * 1024
_MOST_BYTES = 4 * 1024 * 1024
_CHUNK_BYTES = 256 * 1024
_SOON_S = 0.25
_LATE_S = 1.0


class Window:
    """Counts what was sent and what was acknowledged on one link, and widens or narrows what may be under way."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sent = 0
        self._acknowledged = 0
        self._limit = _LEAST_BYTES
        self._under_way: Deque[Tuple[int, float]] = deque()

    @property
    def room_bytes(self) -> int:
        """How many bytes may be sent now."""
        return max(0, self._limit - (self._sent - self._acknowledged))

    @property
    def chunk_bytes(self) -> int:
        """How many bytes one frame should carry: several are under way at once, so that each tells how the link is."""
        return min(_CHUNK_BYTES, max(_LEAST_BYTES, self._limit // 4))

    def sent(self, count: int) -> None:
        """`count` bytes have been handed to the link."""
        self._sent += count
        self._under_way.append((self._sent, self._clock()))

    def acknowledged(self, total: int) -> None:
        """The other side has taken `total` bytes since the link began; it may have got some of them twice."""
        total = min(total, self._sent)
        if total <= self._acknowledged:
            return
        was_full = self._sent - self._acknowledged >= self._limit // 2
        self._acknowledged = total
        took_s = 0.0
        now = self._clock()
        while self._under_way and self._under_way[0][0] <= total:
            took_s = now - self._under_way.popleft()[1]
        if took_s > _LATE_S:
            self._limit = max(_LEAST_BYTES, self._limit // 2)
        elif took_s < _SOON_S and was_full:
            self._limit = min(_MOST_BYTES, self._limit * 2)
