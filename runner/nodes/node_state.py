"""What a node's events add up to: a fold over its journal, the same whoever reads it and however often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sidecar.contract import events


@dataclass(slots=True, kw_only=True)
class NodeState:
    """The state of one node of one run; `apply` takes the events in order."""

    node_id: str
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    started: dict[str, dict[str, Any]] = field(default_factory=dict)
    exited: dict[str, dict[str, Any]] = field(default_factory=dict)
    stalled: set[str] = field(default_factory=set)
    launches: list[list[str]] | None = None
    stopping: list[dict[str, Any]] = field(default_factory=list)
    is_lost: bool = False
    is_stopped: bool = False
    is_ended: bool = False

    def apply(self, record: Mapping[str, Any]) -> None:
        """Takes one event. A second `exited` of a process changes nothing: the first record stands."""
        event = record["event"]
        if event == events.STEP:
            if record["state"] != events.BEGUN:
                self.steps[record["step"]] = dict(record)
        elif event == events.STARTED:
            self.started.setdefault(record["process"], dict(record))
            self.is_ended = False
        elif event == events.EXITED:
            self.exited.setdefault(record["process"], dict(record))
        elif event == events.LAUNCHES:
            self.launches = record["argvs"]
        elif event == events.STALLED:
            self.stalled.add(record["process"])
        elif event == events.RESUMED:
            self.stalled.discard(record["process"])
        elif event == events.STOPPING:
            self.stopping.append(dict(record))
        elif event == events.STOPPED:
            self.is_stopped = True
        elif event == events.ENDED:
            self.is_ended = True

    def give_up(self) -> None:
        """The node has lost what it knew: whatever ran there is lost, and every step that was not done has failed."""
        self.is_lost = True
        self.is_ended = self.is_stopped = True
        for name, started in self.started.items():
            self.exited.setdefault(
                name,
                {**started, "exit_code": None, "signal": None, "error": None, "is_lost": True, "raised": None},
            )

    def step(self, name: str) -> dict[str, Any] | None:
        """How the step called `name` ended; None while it has not."""
        if self.is_lost and name not in self.steps:
            return {"state": "failed", "message": "the node lost what it kept of the run", "hint": None}
        return self.steps.get(name)

    @property
    def user_failures(self) -> list[dict[str, Any]]:
        """Exit records of processes that did not end with exit code 0."""
        return [record for record in self.exited.values() if record["exit_code"] != 0]
