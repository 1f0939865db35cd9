"""What a node's events add up to: a fold over its journal, the same whoever reads it and however often."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sidecar.contract import events
from sidecar.contract.container_labels import Role
from sidecar.contract.layout import is_process_name

_STAMP = {"at_ns": int, "monotonic_ns": int}
# What a step that is done must have told.
_RESULTS: dict[str, dict[str, type]] = {
    "build": {"interpreter": str, "key": object, "cache_hit": object, "bin": object},
    "inputs": {"in_place": list},
    "prepare": {"bundle": str, "ports": list, "programs": object, "is_root": bool},
    "meet": {"reached": dict, "failed": dict},
    "release": {"census": dict},
}
_MOMENTS = range(1 << 63)
_NEEDED: dict[str, dict[str, type]] = {
    events.STEP: {"step": str, "state": str},
    events.STARTED: {"process": str, "pid": int, "log": str, "is_user": bool, "address": str, **_STAMP},
    events.EXITED: {"process": str, "exit_code": object, "signal": object, "error": object, "is_lost": bool, **_STAMP},
    events.LAUNCHES: {"argvs": list},
    events.PAUSED: {},
    events.CONTAINER: {"role": str, "sentence": str},
    events.STALLED: {"process": str},
    events.RESUMED: {"process": str},
    events.STOPPING: {"reason": str, **_STAMP},
}


def _is_well_formed(record: Mapping[str, Any]) -> bool:
    """Whether the event has what the controller reads in it, and names nothing outside the run's folder."""
    event = record.get("event")
    needed = _NEEDED.get(event, {}) if isinstance(event, str) else None
    if needed is None or not _has(record, needed):
        return False
    if "at_ns" in needed and (record["at_ns"] not in _MOMENTS or record["monotonic_ns"] not in _MOMENTS):
        return False
    if "process" in needed and not is_process_name(record["process"]):
        return False
    return "log" not in needed or not (os.path.isabs(record["log"]) or ".." in record["log"].split("/"))


def _has(record: Mapping[str, Any], needed: Mapping[str, type]) -> bool:
    return all(key in record and isinstance(record[key], kind) for key, kind in needed.items())


def _ended_step(record: Mapping[str, Any]) -> dict[str, Any]:
    """How a step ended; one that does not tell what it must counts as failed."""
    is_done = record["state"] == events.DONE
    needed = _RESULTS.get(record["step"], {}) if is_done else {"message": str}
    if _has(record, needed):
        return dict(record)
    message = f"the node's answer to the step {record['step']!r} makes no sense"
    return {**record, "state": events.FAILED, "message": message, "hint": None}


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
    # The container of the node that somebody paused.
    paused: str | None = None
    # Why its containers are no more, by their role.
    container_ends: dict[str, str] = field(default_factory=dict)
    loss: str | None = None
    is_stopped: bool = False
    is_ended: bool = False

    def apply(self, record: Mapping[str, Any]) -> None:
        """Takes one event. A second `exited` of a process changes nothing: the first record stands.

        An event that lacks what it must have is passed over: a node is not trusted, and the next one may be good.
        """
        if not _is_well_formed(record):
            return
        event = record["event"]
        if event == events.STEP:
            if record["state"] != events.BEGUN:
                self.steps[record["step"]] = _ended_step(record)
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
        elif event == events.PAUSED:
            self.paused = str(record["container"]) if record.get("container") else None
        elif event == events.CONTAINER and record["role"] in (Role.JOB, Role.SIDECAR):
            self.container_ends[record["role"]] = record["sentence"]
        elif event == events.ENDED:
            self.is_ended = True

    @property
    def is_lost(self) -> bool:
        """Whether the node has lost what it knew of the run."""
        return self.loss is not None

    def give_up(self, loss: str) -> None:
        """Whatever ran there is lost, and every step that was not done has failed; `loss`: `lost its folder`."""
        self.loss = loss
        self.is_ended = self.is_stopped = True
        for name, started in self.started.items():
            record = {"exit_code": None, "signal": None, "error": None, "is_lost": True, "raised": None, "loss": loss}
            self.exited.setdefault(name, {**started, **record})

    def step(self, name: str) -> dict[str, Any] | None:
        """How the step called `name` ended; None while it has not."""
        if self.loss is not None and name not in self.steps:
            message = f"the node {self.loss}"
            return {"state": "failed", "message": message, "hint": None}
        return self.steps.get(name)

    @property
    def user_failures(self) -> list[dict[str, Any]]:
        """Exit records of processes that did not end with exit code 0."""
        return [record for record in self.exited.values() if record["exit_code"] != 0]
