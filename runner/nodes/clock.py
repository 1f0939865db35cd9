"""How far a node's clocks are from this machine's, from the quickest answer to a ping."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.contract import publish


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockOffset:
    """What the node's wall clock and its monotonic clock are ahead of this machine's wall clock, in nanoseconds.

    Off by at most half of `round_trip_ns`. A wall clock that jumps leaves the monotonic one alone.
    """

    wall_ns: int
    monotonic_ns: int
    round_trip_ns: int


def write(path: Path, offset: ClockOffset) -> None:
    """Keeps the offset for readers of the logs. Best effort: without it they are merged by the node's clock."""
    with contextlib.suppress(OSError):
        publish.write_whole(path, publish.to_json(dataclasses.asdict(offset)))


def measure(pong: Mapping[str, Any], known: ClockOffset | None) -> ClockOffset | None:
    """The better of what is known and what `pong` tells; nonsense in it changes nothing."""
    try:
        sent_ns, sent_monotonic_ns = int(pong["sent_ns"]), int(pong["sent_monotonic_ns"])
        node_wall_ns, node_monotonic_ns = int(pong["at_ns"]), int(pong["monotonic_ns"])
    except (KeyError, TypeError, ValueError):
        return known
    round_trip_ns = time.monotonic_ns() - sent_monotonic_ns
    if round_trip_ns < 0 or (known is not None and known.round_trip_ns <= round_trip_ns):
        return known
    middle_ns = sent_ns + round_trip_ns // 2
    return ClockOffset(
        wall_ns=node_wall_ns - middle_ns, monotonic_ns=node_monotonic_ns - middle_ns, round_trip_ns=round_trip_ns
    )
