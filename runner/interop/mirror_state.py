"""`mirror.json`: how far a run has been copied to a user's MLflow server; a mirror that was killed goes on from it.

What is about to be sent is noted first: after a kill only that much is in doubt (mirror_doubt).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from sidecar.contract import publish
from sidecar.contract.layout import RunLayout


@dataclass(slots=True, kw_only=True)
class RemoteRun:
    """A run on the server."""

    id: str
    artifact_uri: str


@dataclass(slots=True, kw_only=True)
class MirrorState:
    """What is there already. `runs` is by our run id, `offsets` by metrics file, `files` by path in the run folder;
    up to `doubtful` a metrics file may be there in part; `problem` is why nothing is moving, in words.
    """

    experiment_id: str | None = None
    runs: dict[str, RemoteRun] = field(default_factory=dict)
    open_children: list[str] = field(default_factory=list)
    offsets: dict[str, int] = field(default_factory=dict)
    doubtful: dict[str, int] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    files: dict[str, list[int]] = field(default_factory=dict)
    refused_count: int = 0
    problem: str | None = None
    is_complete: bool = False


def read_state(run: RunLayout) -> MirrorState | None:
    """The state of a run's mirror; None where it has none, or one that cannot be read."""
    try:
        record = publish.read_record(run.mirror.state)
        if record is None:
            return None
        runs = {run_id: RemoteRun(**remote) for run_id, remote in record.pop("runs").items()}
        return MirrorState(**record, runs=runs)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_state(run: RunLayout, state: MirrorState) -> None:
    """Replaces the state; durable on return. Raises OSError."""
    record: dict[str, Any] = dataclasses.asdict(state)
    publish.write_whole(run.mirror.state, publish.to_json(record))
