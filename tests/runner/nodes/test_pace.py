"""Batches of a shipment: larger on a quick line, smaller on a slow one, never two without an answer."""

from __future__ import annotations

from runner.nodes.pace import Pace


def _batches(pace: Pace, now: list[float], bytes_per_s: float, *, count: int) -> list[int]:
    """The sizes of so many batches, with the last one's answer back after a time on the line."""
    sizes = []
    for mark in range(count):
        size = 0
        while pace.may_send:
            pace.sent(4096)
            size += 4096
        assert pace.is_ping_due
        pace.asked(mark)
        pace.answered("another")
        assert not pace.may_send
        now[0] += size / bytes_per_s
        pace.answered(mark)
        sizes.append(size)
    return sizes


def test_batches_follow_the_line() -> None:
    """A fast line gets megabytes at once; a slow one never more than a second's worth or the least."""
    now = [0.0]
    pace = Pace(lambda: now[0])
    assert _batches(pace, now, 1e9, count=12)[-1] == 4 * 2**20
    assert _batches(pace, now, 50_000, count=12)[-1] <= 65_536
    assert _batches(pace, now, 1_000, count=12)[-1] == 16_384
