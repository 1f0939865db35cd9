"""Ports that nobody else gets between the moment they are chosen and the moment a process needs them."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import List, Optional, Sequence, Set

from sidecar import meeting

_LISTENING = "0A"


class ReservedPorts:
    """Free TCP ports, held by bound sockets until `release`; two runs at once never get the same one.

    With `meeting_port` (0: any that is free) the node can also be found by the others of its run (see meeting.py).
    """

    def __init__(self, count: int, *, meeting_port: Optional[int] = None) -> None:
        self._listener = meeting.Listener(meeting_port) if meeting_port is not None else None
        self._sockets: List[socket.socket] = []
        for _ in range(count):
            holder = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            holder.bind(("", 0))
            self._sockets.append(holder)
        self.numbers = [holder.getsockname()[1] for holder in self._sockets]

    @property
    def meeting_port(self) -> Optional[int]:
        """Where the other nodes of the run find this one."""
        return self._listener.port if self._listener is not None else None

    def release(self) -> None:
        """Lets go of the ports, right before the processes that want them start."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for holder in self._sockets:
            holder.close()
        self._sockets = []


def listening(numbers: Sequence[int]) -> Set[int]:
    """Those of `numbers` on which some process of this machine listens now."""
    wanted = set(numbers)
    found: Set[int] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENING:
                found.add(int(fields[1].rsplit(":", 1)[1], 16))
    return found & wanted
