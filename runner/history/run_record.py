"""`run.json`: what is known of a run, complete without the database."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from runner.errors import NoSuchRunError, WorkspaceError
from runner.history.status import RunStatus
from sidecar.contract import publish
from sidecar.contract.layout import RunLayout


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run, as `run.json` holds it; times are ISO text with microseconds and `+00:00`.

    `extra` holds keys that this version does not know; they are written back as they were read.
    """

    run_id: str
    experiment_name: str
    status: RunStatus
    created_utc: str
    start_time_utc: str | None = None
    end_time_utc: str | None = None
    duration: str | None = None
    script_name: str | None = None
    target: str = "local"
    description: str | None = None
    name: str = ""
    parent_run_id: str | None = None
    user_id: str = ""
    heartbeat_enabled: bool = False
    hidden: bool = False
    run_number: int = 0
    tags: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    nodes: tuple[str, ...] = ()
    request: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] | None = None
    snapshot: Mapping[str, Any] | None = None
    failure: Mapping[str, Any] | None = None
    census: Mapping[str, Any] | None = None
    warnings: tuple[str, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RunRecord:
        """The record in a parsed `run.json`; raises ValueError where a needed key is missing or a status is unknown."""
        missing = [key for key in _NEEDED if key not in value]
        if missing:
            raise ValueError(f"no {', '.join(missing)}")
        known: dict[str, Any] = {key: value[key] for key in _KEYS if key in value}
        known["status"] = RunStatus(value["status"])
        for key in ("nodes", "warnings"):
            known[key] = tuple(known.get(key) or ())
        extra = {key: entry for key, entry in value.items() if key not in _KEYS}
        return cls(**known, extra=extra)

    def to_json(self) -> dict[str, Any]:
        """The object that `run.json` holds: every key, in a fixed order, then the unknown ones."""
        known = {key: getattr(self, key) for key in _KEYS}
        known["status"] = self.status.value
        known["nodes"] = list(self.nodes)
        known["warnings"] = list(self.warnings)
        return {**known, **self.extra}


_KEYS = tuple(entry.name for entry in dataclasses.fields(RunRecord) if entry.name != "extra")
_NEEDED = ("run_id", "experiment_name", "status", "created_utc")


def parse_record(path: Path, content: bytes) -> RunRecord:
    """The record in the bytes of a `run.json`; `path` is for the message. Raises WorkspaceError."""
    try:
        value = json.loads(content)
        if not isinstance(value, dict):
            raise ValueError("not a JSON object")
        return RunRecord.from_json(value)
    except (ValueError, TypeError) as error:
        raise WorkspaceError(f"{path} is not the record of a run: {error}") from error


def read_record(layout: RunLayout) -> RunRecord:
    """The record of the run in `layout`; raises NoSuchRunError or WorkspaceError."""
    try:
        content = layout.record.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NoSuchRunError(f"{layout.root} holds no run: there is no {layout.record.name}") from error
    except OSError as error:
        raise WorkspaceError(f"cannot read {layout.record}: {error.strerror}") from error
    return parse_record(layout.record, content)


def write_record(layout: RunLayout, record: RunRecord) -> None:
    """Replaces `run.json`; durable on return. Raises OSError and leaves the old one where the disk is full."""
    content = json.dumps(record.to_json(), indent=1, ensure_ascii=False)
    publish.write_whole(layout.record, content.encode("utf-8", "surrogatepass") + b"\n")


def with_status(record: RunRecord, status: RunStatus, *, at: datetime) -> RunRecord:
    """The record after the run took `status` at the aware time `at`; start, end and duration follow from it.

    A run starts when it is first Running and ends with a terminal status. A terminal status is final:
    raises ValueError where another one should follow it.
    """
    if record.status is status:
        return record
    if record.status.is_terminal:
        raise ValueError(f"run {record.run_id} is {record.status} already, it cannot become {status}")
    changed = dataclasses.replace(record, status=status)
    if status is RunStatus.RUNNING and record.start_time_utc is None:
        return dataclasses.replace(changed, start_time_utc=iso_utc(at))
    if not status.is_terminal:
        return changed
    return dataclasses.replace(changed, end_time_utc=iso_utc(at), duration=_duration(record.start_time_utc, at))


def iso_utc(at: datetime) -> str:
    """`2026-11-20T22:30:10.764428+00:00`: always microseconds, always UTC."""
    return at.astimezone(timezone.utc).isoformat(timespec="microseconds")


def _duration(start: str | None, end: datetime) -> str | None:
    if start is None:
        return None
    try:
        elapsed = end - datetime.fromisoformat(start)
    except (TypeError, ValueError):
        return None
    # A clock that was set back must not give a run that ended before it started.
    total = max(0, elapsed.days * 86_400_000_000 + elapsed.seconds * 1_000_000 + elapsed.microseconds)
    return format_duration(total)


def format_duration(microseconds: int) -> str:
    """`0:00:04.892389`; hours grow past 24."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:06}"
