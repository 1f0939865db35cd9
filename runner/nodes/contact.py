"""Tells other processes what is wrong with a node: a file that exists only while it is out of reach or has no room."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from runner.history.moments import utc_and_ago
from sidecar.contract import publish
from sidecar.contract.layout import RunLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class LostContact:
    """Since when (seconds since the epoch) a node has been out of reach, and why."""

    lost_at: float
    problem: str

    @property
    def since(self) -> datetime:
        """The same moment, aware."""
        return datetime.fromtimestamp(self.lost_at, timezone.utc)

    def to_record(self) -> dict[str, str]:
        """For a person's program."""
        return {"since": self.since.isoformat(timespec="seconds"), "problem": self.problem}

    def sentence(self, node_id: str, now: datetime) -> str:
        """`contact lost since 2026-11-21 08:40:01 UTC (35 s ago): ...`; the reason without the node's own name."""
        why = self.problem.removeprefix(f"{node_id}: ")
        return f"contact lost since {utc_and_ago(self.since, now)}: {why}"


def write_lost(path: Path, lost: LostContact) -> None:
    """Says that the node is out of reach. Best effort: the node is looked for with or without it."""
    with contextlib.suppress(OSError):
        publish.write_whole(path, publish.to_json({"lost_at": lost.lost_at, "problem": lost.problem}))


def write_full(path: Path) -> None:
    """Says that the node answers, and that its disk is full. Best effort."""
    with contextlib.suppress(OSError):
        publish.write_whole(path, publish.to_json({"is_disk_full": True}))


def write_found(path: Path) -> None:
    """Says that the node answers, and has room."""
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


def read_full(path: Path) -> bool:
    """Whether the node said last that its disk is full."""
    try:
        return bool((publish.read_record(path) or {}).get("is_disk_full"))
    except (OSError, ValueError):
        return False


def read_all_full(run: RunLayout, node_ids: Iterable[str]) -> list[str]:
    """The nodes of a live run whose disks are full now."""
    return [node_id for node_id in node_ids if read_full(run.node_contact(node_id))]


def read_all_lost(run: RunLayout, node_ids: Iterable[str]) -> dict[str, LostContact]:
    """Every node of a live run that is out of reach now, by its id."""
    found = ((node_id, read_lost(run.node_contact(node_id))) for node_id in node_ids)
    return {node_id: lost for node_id, lost in found if lost is not None}
