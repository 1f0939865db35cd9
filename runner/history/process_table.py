"""The processes of a run, from `process_info.json` and `process_status.json` (reference azureml-v1.md 3.3)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sidecar.contract import publish
from sidecar.contract.layout import EVERY_PROCESS, RunLayout

NOT_STARTED = "NotStarted"
STARTED = "Started"
TERMINATED = "Terminated"
# Of a node that a person gave up while it was out of reach: its processes may go on to this day.
UNKNOWN = "Unknown"
ENDED = frozenset({"Completed", "Failed", TERMINATED})

_NUMBER = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessRow:
    """One process: who, where, and how far. `start` and `end` are UTC texts with nanoseconds."""

    process_name: str
    status: str = NOT_STARTED
    start: str | None = None
    end: str | None = None
    node_id: str | None = None
    pid: int | None = None
    private_ip: str | None = None
    log: str | None = None

    @property
    def is_alive(self) -> bool:
        """Whether the process started and no end of it is known."""
        return self.status == STARTED


def read_processes(layout: RunLayout) -> list[ProcessRow]:
    """A row a process, in the order main, rank_0, rank_1, ...; empty before the first one was announced."""
    infos = publish.read_records(layout.process_info)
    unended = UNKNOWN if layout.abandon_request.exists() else TERMINATED
    return fold(infos, publish.read_records(layout.process_status), unended=unended)


def fold(
    infos: Iterable[Mapping[str, Any]], changes: Iterable[Mapping[str, Any]], *, unended: str = TERMINATED
) -> list[ProcessRow]:
    """Rows from the lines of both files: `Started` sets the start, anything else the end, the last one wins.

    A line for `*` closes the run: whatever has not ended by then is Terminated at that time, or what `unended` says.
    """
    rows = {row.process_name: row for row in map(_row, infos) if row.process_name}
    for change in changes:
        name, status, at = (str(change.get(key) or "") for key in ("process_name", "status", "timestamp"))
        if name == EVERY_PROCESS:
            rows = {key: _close(row, at, unended) for key, row in rows.items()}
        elif name:
            rows[name] = _apply(rows.get(name) or ProcessRow(process_name=name), status, at)
    return sorted(rows.values(), key=lambda row: natural(row.process_name))


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key that puts `rank_10` behind `rank_9`."""
    parts = _NUMBER.split(text)
    return tuple((1, int(part), "") if part.isdecimal() else (0, 0, part) for part in parts)


def _row(info: Mapping[str, Any]) -> ProcessRow:
    pid = info.get("pid_in_container")
    return ProcessRow(
        process_name=str(info.get("process_name") or ""),
        node_id=_text(info.get("node_id")),
        pid=pid if isinstance(pid, int) else None,
        private_ip=_text(info.get("private_ip")),
        log=_text(info.get("log")),
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _apply(row: ProcessRow, status: str, at: str) -> ProcessRow:
    if status == STARTED:
        return dataclasses.replace(row, status=status, start=at)
    return dataclasses.replace(row, status=status, end=at)


def _close(row: ProcessRow, at: str, unended: str) -> ProcessRow:
    if row.status in ENDED:
        return row
    return dataclasses.replace(row, status=unended, end=at if unended == TERMINATED else None)
