"""As much is under way as arrives soon: much on a quick link, little on a slow one."""

from __future__ import annotations

from collections import deque

from sidecar.window import Window


class _Link:
    """A link of `rate` bytes a second and a clock of its own; what is sent arrives in order."""

    def __init__(self, rate: float, delay_s: float) -> None:
        self.now = 0.0
        self.window = Window(lambda: self.now)
        self._rate = rate
        self._delay_s = delay_s
        self._free_at = 0.0
        self._arrivals: deque[tuple[float, int]] = deque()
        self._sent = 0
        self.slowest_s = 0.0

    def run(self, seconds: float) -> float:
        """Sends for so long; the bytes a second that were acknowledged."""
        first, until = self._sent, self.now + seconds
        while self.now < until:
            while self.window.room_bytes > 0:
                count = min(self.window.room_bytes, self.window.chunk_bytes)
                self._sent += count
                self._free_at = max(self._free_at, self.now) + count / self._rate
                self._arrivals.append((self._free_at + self._delay_s, self._sent))
                self.window.sent(count)
            at, total = self._arrivals.popleft()
            self.slowest_s = at - self.now if self.now > seconds / 2 else 0.0
            self.now = max(self.now, at)
            self.window.acknowledged(total)
        return (self._sent - first) / seconds


def test_a_quick_link_is_filled() -> None:
    """200 MB/s and a millisecond: nearly all of it is used."""
    assert _Link(200e6, 0.001).run(5) > 180e6


def test_a_long_link_is_filled() -> None:
    """20 MB/s over 100 ms."""
    assert _Link(20e6, 0.1).run(20) > 16e6


def test_on_a_slow_link_little_is_under_way() -> None:
    """1 kB/s: what is said now arrives within a few seconds, not behind a quarter of an hour of log."""
    link = _Link(1000, 0.05)
    link.run(300)
    assert link.window.room_bytes <= 4096
    assert link.slowest_s < 5


def test_an_acknowledgement_of_more_than_was_sent_counts_for_that() -> None:
    """Bytes that came twice count twice on the other side (F12); one that comes late, after a greater, says nothing."""
    window = Window(lambda: 0.0)
    window.sent(1000)
    room = window.room_bytes
    window.acknowledged(-1)
    assert window.room_bytes == room
    window.acknowledged(5000)
    window.acknowledged(400)
    assert window.room_bytes == room + 1000
    window.sent(2000)
    assert window.room_bytes == room - 1000
