"""How many bytes of a shipment follow each other before the node's answer must be back.

Without a limit megabytes would lie in buffers on the way; on a slow line a ping behind them is answered so late that
the link counts as dead.
"""

from __future__ import annotations

import time
from collections.abc import Callable

# The least still makes progress on a modem; the most fills 40 MB/s at 100 ms.
_LEAST_BYTES = 16 * 1024
_MOST_BYTES = 4 * 1024 * 1024
_FIRST_BYTES = 64 * 1024
_SOON_S = 0.25
_LATE_S = 1.0


class Pace:
    """Bytes go in batches; a ping ends each, and its answer (known by its mark) begins the next, larger or smaller."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._limit = self._left = _FIRST_BYTES
        self._mark: int | None = None
        self._began_at = 0.0

    @property
    def may_send(self) -> bool:
        """Whether the batch goes on."""
        return self._left > 0

    @property
    def is_ping_due(self) -> bool:
        """Whether the batch is full and nobody has asked for an answer yet."""
        return self._left <= 0 and self._mark is None

    def sent(self, count: int) -> None:
        """`count` bytes of the shipment have been handed to the link."""
        if self._left == self._limit:
            self._began_at = self._clock()
        self._left -= count

    def asked(self, mark: int) -> None:
        """The ping with this mark was sent behind the bytes."""
        if self._left <= 0 and self._mark is None:
            self._mark = mark

    def answered(self, mark: object) -> None:
        """The ping with this mark was answered."""
        if self._mark is None or mark != self._mark:
            return
        took_s = self._clock() - self._began_at
        if took_s > _LATE_S:
            self._limit = max(_LEAST_BYTES, self._limit // 2)
        elif took_s < _SOON_S:
            self._limit = min(_MOST_BYTES, self._limit * 2)
        self._left, self._mark = self._limit, None
