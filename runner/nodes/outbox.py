"""Writes to one link from one thread, so that whoever has news to send never waits for a slow network.

Small frames first; contents of a snapshot fill what time is left. Says every two seconds that the controller is there.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from runner.nodes.pace import Pace
from runner.transports.transport import Link
from sidecar.contract.frames import Frame, FrameKind, encode, json_frame

# Rarer, and a dead link is found late; more often, and a thousand idle nodes cost a core.
PING_S = 2.0
# The first measures the node's clock, for runs that end before there is a second; earlier, the agent still starts.
_FIRST_PING_S = 0.3
# Acknowledgements this close together would take the interpreter from whoever keeps the bytes; at 4 MiB under way and
# 500 MB/s the node still never waits for one.
_ACKNOWLEDGE_S = 0.004
# A ping that is not answered for so long will not be: the link is dead, or choked with bytes of a moment when it was
# faster. The next one begins with little under way. Shorter, and a slow line never gets anything through.
_ANSWER_LIMIT_S = 30.0


class Outbox:
    """The way out of one link. Create, `post` and `ship`, `close`."""

    def __init__(self, link: Link, *, name: str, pings: bool) -> None:
        self._link = link
        self._pings = pings
        self._news = threading.Condition()
        self._frames: deque[Frame] = deque()
        self._bulk: deque[Iterator[Frame]] = deque()
        self._acknowledged: int | None = None
        self._next_acknowledgement = 0.0
        self._pace = Pace()
        self._heard_at = time.monotonic()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name=f"outbox-{name}", daemon=True)
        self._thread.start()

    def post(self, frame: Frame) -> None:
        """Sends `frame` soon, in order with other posts."""
        with self._news:
            self._frames.append(frame)
            self._news.notify()

    def acknowledge(self, total: int) -> None:
        """Tells how many bytes have been taken on this link; only the latest number counts."""
        with self._news:
            is_first = self._acknowledged is None
            self._acknowledged = total
            if is_first:
                self._news.notify()

    def ship(self, frames: Iterator[Frame]) -> None:
        """Sends `frames` while nothing else is to be sent, after those that were given before."""
        with self._news:
            self._bulk.append(frames)
            self._news.notify()

    def answered(self, pong: Mapping[str, Any]) -> None:
        """The node's answer to a ping has come."""
        with self._news:
            self._heard_at = time.monotonic()
            self._pace.answered(pong.get("sent_monotonic_ns"))
            self._news.notify()

    def close(self) -> None:
        """Sends nothing more. The link is the caller's to close."""
        with self._news:
            self._is_closed = True
            self._news.notify()

    def _run(self) -> None:
        next_ping = time.monotonic() + _FIRST_PING_S if self._pings else None
        try:
            while (frame := self._next(next_ping)) is not None:
                if frame.kind is FrameKind.PING:
                    next_ping = time.monotonic() + PING_S
                self._link.outgoing.write(encode(frame))
                self._link.outgoing.flush()
        except (OSError, ValueError):
            self._link.close()  # The reader sees the end, and the next link begins anew.

    def _next(self, next_ping: float | None) -> Frame | None:
        """The next frame to send; None once closed."""
        while True:
            with self._news:
                if self._is_closed:
                    return None
                if self._frames:
                    return self._frames.popleft()
                now = time.monotonic()
                if self._acknowledged is not None and now >= self._next_acknowledgement:
                    total, self._acknowledged = self._acknowledged, None
                    self._next_acknowledgement = now + _ACKNOWLEDGE_S
                    return Frame(FrameKind.ACK, b"", offset=total)
                if next_ping is not None and (now >= next_ping or self._pace.is_ping_due):
                    return self._ping(now)
                if not self._bulk or (self._pings and not self._pace.may_send):
                    due = [] if next_ping is None else [next_ping - now]
                    if self._acknowledged is not None:
                        due.append(self._next_acknowledgement - now)
                    self._news.wait(min(due, default=None))
                    continue
                bulk = self._bulk[0]
            frame = next(bulk, None)  # Reads a file: not under the lock.
            with self._news:
                if frame is not None:
                    self._pace.sent(len(frame.payload))
                    return frame
                self._bulk.popleft()

    def _ping(self, now: float) -> Frame:
        if now - self._heard_at > _ANSWER_LIMIT_S:
            raise TimeoutError("the node does not answer")
        mark = time.monotonic_ns()
        self._pace.asked(mark)
        return json_frame(FrameKind.PING, {"sent_ns": time.time_ns(), "sent_monotonic_ns": mark})
