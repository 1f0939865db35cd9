"""Lets only so many connections be made at the same moment, so that each of them keeps within its time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

# Smaller: many distant nodes take long. Larger: on a small machine all logins are slow together, and time out together.
_WIDTH = 16
# Longer: machines that are half dead hold up the others. Shorter: the gate holds nobody back.
_PATIENCE_S = 2.0


class Gate:
    """A gate that opens for anybody who has waited long enough: it smooths a rush, and never blocks."""

    def __init__(self, *, width: int = _WIDTH, patience_s: float = _PATIENCE_S) -> None:
        self._slots = threading.BoundedSemaphore(width)
        self._patience_s = patience_s

    @contextlib.contextmanager
    def passage(self) -> Iterator[None]:
        """Waits for a slot, not longer than its patience, and gives it back at the end."""
        has_slot = self._slots.acquire(timeout=self._patience_s)
        try:
            yield
        finally:
            if has_slot:
                self._slots.release()
