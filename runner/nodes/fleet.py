"""All nodes of a run, and one place to wait for news of any of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

from runner.nodes.node import Node


class CancelRequested(Exception):
    """Somebody asked for the run to be canceled; whoever waits lets go."""


class Fleet:
    """The nodes of one run. Create it, then `attach` its nodes, whose news call `notify`."""

    def __init__(self) -> None:
        self.nodes: Sequence[Node] = ()
        self._news = threading.Condition()
        self._count = 0
        self._observer: Callable[[], None] = lambda: None
        self._is_cancel_wanted: Callable[[], bool] = lambda: False

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def observe(self, observer: Callable[[], None]) -> None:
        """`observer` is called, in the waiting thread, after every piece of news; it replaces an earlier one."""
        self._observer = observer

    def watch_cancel(self, is_wanted: Callable[[], bool]) -> None:
        """`is_wanted` is asked at every piece of news; once it says yes, `wait` raises CancelRequested."""
        self._is_cancel_wanted = is_wanted

    def notify(self) -> None:
        """Wakes whoever waits; safe from any thread."""
        with self._news:
            self._count += 1
            self._news.notify_all()

    def wait(
        self,
        is_reached: Callable[[], bool],
        *,
        limit_s: float | None = None,
        heeds_cancel: bool = True,
        look_s: float = 0.5,
    ) -> bool:
        """Waits until `is_reached`, or `limit_s` is over; says which. Raises CancelRequested where it heeds that.

        `is_reached` is asked at every piece of news, and every `look_s` seconds.
        """
        deadline = None if limit_s is None else time.monotonic() + limit_s
        while True:
            with self._news:
                seen = self._count
            self._observer()
            if is_reached():
                return True
            if heeds_cancel and self._is_cancel_wanted():
                raise CancelRequested
            remaining = None if deadline is None else deadline - time.monotonic()
            if remaining is not None and remaining <= 0:
                return False
            with self._news:
                if self._count == seen:
                    self._news.wait(look_s if remaining is None else min(look_s, remaining))

    def close(self) -> None:
        """Lets go of every link."""
        for node in self.nodes:
            node.close()
