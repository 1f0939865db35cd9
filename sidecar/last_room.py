"""Some room on a node's disk that is kept for the runner's own words, and a journal that outlasts a full disk.

A script that fills the disk fails for want of room; that it has ended, and why, must still be written, and an order to
stop must still arrive.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections import deque
from typing import Any, Deque, Dict, Iterator, Mapping

from sidecar.contract import events, publish
from sidecar.contract.layout import NodeLayout

# Nobody can be helped at once: the disk, or the person's quota, is full, or the disk can only be read for now.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
# Much less would not hold a long seal.
_RESERVE_BYTES = 1024 * 1024
# Less, and a script could hardly write a line.
_FULL_BYTES = 64 * 1024
# By the time that one looks why a script failed, another may have freed the room that was kept.
_SCARCE_BYTES = 2 * _RESERVE_BYTES


def keep(node: NodeLayout) -> None:
    """Takes the room. Raises OSError where there is none."""
    publish.write_whole(node.reserve, bytes(_RESERVE_BYTES))


def give_up(node: NodeLayout) -> None:
    """Frees the room, for whoever writes next."""
    with contextlib.suppress(OSError):
        node.reserve.unlink()


def is_scarce(node: NodeLayout) -> bool:
    """Whether a script may have failed just now because the node's disk was full."""
    return _has_less(node, _SCARCE_BYTES)


def is_used_up(node: NodeLayout) -> bool:
    """Whether the node's disk is full: what is yet to be written there waits."""
    return _has_less(node, _FULL_BYTES)


def _has_less(node: NodeLayout, size_bytes: int) -> bool:
    try:
        disk = os.statvfs(node.root)
    except OSError:
        return False
    return disk.f_bavail * disk.f_frsize < size_bytes


@contextlib.contextmanager
def forgiven(node: NodeLayout) -> Iterator[None]:
    """Goes on where the disk is full, and frees the room; whoever did not finish tries again."""
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        give_up(node)


class Journal:
    """Appends a node's events in order; while the disk is full they wait here.

    Who is killed meanwhile has told nothing of them, so the next one does again what they were about.
    """

    def __init__(self, node: NodeLayout) -> None:
        self._node = node
        self._untold: Deque[Mapping[str, Any]] = deque()

    @property
    def has_backlog(self) -> bool:
        """Whether events wait for room."""
        return bool(self._untold)

    def tell(self, event: str, **fields: Any) -> None:
        """Appends an event, or keeps it until there is room. Raises OSError for anything but a full disk."""
        record: Dict[str, Any] = {"event": event, **events.stamp(), **fields}
        self._untold.append(record)
        self.flush()

    def flush(self) -> None:
        """Appends what waits, as far as there is room."""
        while self._untold and self._append(self._untold[0]):
            self._untold.popleft()

    def _append(self, record: Mapping[str, Any]) -> bool:
        try:
            publish.append_record(self._node.events, record)
        except OSError as error:
            if error.errno not in FULL:
                raise
            give_up(self._node)
            return False
        return True
