"""Tells other processes whether a node can be reached: a file that exists only while it cannot."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from sidecar.contract import publish


@dataclass(frozen=True, slots=True, kw_only=True)
class LostContact:
    """Since when (seconds since the epoch) a node has been out of reach, and why."""

    lost_at: float
    problem: str


def write_lost(path: Path, lost: LostContact) -> None:
    """Says that the node is out of reach. Best effort: the node is looked for with or without it."""
    with contextlib.suppress(OSError):
        publish.write_whole(path, publish.to_json({"lost_at": lost.lost_at, "problem": lost.problem}))


def write_found(path: Path) -> None:
    """Says that the node answers."""
    with contextlib.suppress(OSError):
        path.unlink()


def read_lost(path: Path) -> LostContact | None:
    """What was said last; None while the node answers."""
    try:
        record = publish.read_record(path)
        if record is None:
            return None
        return LostContact(lost_at=float(record["lost_at"]), problem=str(record["problem"]))
    except (OSError, KeyError, TypeError, ValueError):
        return None
