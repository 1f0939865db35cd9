"""Builds real run folders: logs with their time index, records, process tables, metrics."""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from runner.history.run_record import RunRecord, iso_utc, write_record
from runner.history.status import RunStatus
from sidecar.contract import publish
from sidecar.contract.layout import RunLayout, WorkspaceLayout, driver_log_name

EPOCH_S = 1_790_000_000
SECOND_NS = 1_000_000_000


def at(second: float) -> datetime:
    """A time so many seconds after the lab's zero."""
    return datetime.fromtimestamp(EPOCH_S + second, timezone.utc)


def at_ns(second: float) -> int:
    """The same as wall clock nanoseconds."""
    return EPOCH_S * SECOND_NS + int(second * SECOND_NS)


class RunFolder:
    """One run's folder that a test fills piece by piece."""

    def __init__(self, layout: RunLayout) -> None:
        self.layout = layout
        self.run_id = layout.root.name
        for folder in (layout.azureml_logs, layout.time_indexes, layout.metrics, layout.system_logs):
            folder.mkdir(parents=True, exist_ok=True)

    def log(self, name: str, *pieces: tuple[float, bytes]) -> Path:
        """Appends `(second, bytes)` to a log of `azureml-logs/` and notes each in its index."""
        path = self.layout.azureml_logs / name
        with open(path, "ab") as log, open(self.layout.time_index(name), "ab") as index:
            for second, content in pieces:
                log.write(content)
                index.write(struct.pack("<QQ", log.tell(), at_ns(second)))
        return path

    def rank_log(self, rank: int, *pieces: tuple[float, bytes]) -> Path:
        """Appends to the log of a rank."""
        return self.log(driver_log_name(rank), *pieces)

    def process(self, name: str, *, node_id: str, log: str, pid: int = 1) -> None:
        """Announces a process."""
        publish.append_record(
            self.layout.process_info,
            {
                "process_name": name,
                "node_id": node_id,
                "pid_in_container": pid,
                "private_ip": "127.0.0.1",
                "log": f"azureml-logs/{log}",
            },
        )

    def rank(self, rank: int, *, node_id: str) -> None:
        """Announces a rank whose log is its driver log."""
        self.process(f"rank_{rank}", node_id=node_id, log=driver_log_name(rank), pid=100 + rank)

    def change(self, name: str, status: str, second: float) -> None:
        """Appends a line to `process_status.json`."""
        timestamp = f"{at(second):%Y-%m-%dT%H:%M:%S}.{0:09}Z"
        line = {"process_name": name, "timestamp": timestamp, "status": status}
        publish.append_record(self.layout.process_status, line)

    def metric(self, name: str, value: Any, *, n: int, second: float = 0, writer: str = "a", **more: Any) -> None:
        """Appends one call of `log` to the metrics of `main`."""
        line = {"w": writer, "n": n, "t": at_ns(second), "name": name, "value": value, "step": None, "kind": "scalar"}
        publish.append_record(self.layout.process_metrics("main"), {**line, **more})

    def record(self, status: RunStatus = RunStatus.COMPLETED, **changes: Any) -> RunRecord:
        """Writes `run.json` and returns what it holds."""
        record = make_record(self.run_id, status, **changes)
        write_record(self.layout, record)
        return record


def make_record(run_id: str, status: RunStatus = RunStatus.COMPLETED, **changes: Any) -> RunRecord:
    """A record of a run that started one second after its creation and took five."""
    known: dict[str, Any] = {
        "run_id": run_id,
        "experiment_name": run_id.rsplit("_", 2)[0],
        "status": status,
        "created_utc": iso_utc(at(0)),
        "script_name": "train.py",
        "name": run_id,
        "user_id": "ada",
        "nodes": ("local-0",),
    }
    if status is not RunStatus.NOT_STARTED:
        known["start_time_utc"] = iso_utc(at(1))
    if status.is_terminal:
        known.update(end_time_utc=iso_utc(at(6)), duration="0:00:05.000000")
    return RunRecord(**{**known, **changes})


def new_run(workspace: WorkspaceLayout, name: str = "digits", *, number: int = 0) -> RunFolder:
    """An empty run folder; `number` counts seconds in its id."""
    return RunFolder(workspace.run(f"{name}_{EPOCH_S + number}_{number:08x}"))


def failed_run(workspace: WorkspaceLayout) -> RunFolder:
    """A run of four ranks on two nodes, in which rank 2 raised and the others were stopped."""
    run = new_run(workspace, "failing")
    for rank in range(4):
        run.rank(rank, node_id=f"local-{rank // 2}")
        run.rank_log(rank, (1 + rank / 10, b"hello from %d\n" % rank))
        run.change(f"rank_{rank}", "Started", 1)
    run.change("rank_2", "Failed", 3)
    run.change("*", "Terminated", 4)
    run.record(RunStatus.FAILED, nodes=("local-0", "local-1"), failure=FAILURE)
    return run


FAILURE: Mapping[str, Any] = {
    "first": {
        "process_name": "rank_2",
        "node_id": "local-1",
        "at": "2026-09-21T13:46:43.000000000Z",
        "kind": "exception",
        "exit_code": 1,
        "signal": None,
        "exception": {"type": "ValueError", "message": "boom \x1b[2J"},
        "traceback": 'Traceback (most recent call last):\n  File "train.py", line 3\nValueError: boom \x1b[2J\n',
        "log": "azureml-logs/70_driver_log_2.txt",
        "last_lines": ["hello from 2"],
    },
    "summary": "rank_2 on local-1 raised ValueError: boom",
    "others": [
        {
            "process_name": f"rank_{rank}",
            "node_id": f"local-{rank // 2}",
            "outcome": "stopped",
            "at": "",
            "exit_code": None,
        }
        for rank in (0, 1, 3)
    ],
}


def many_runs(workspace: WorkspaceLayout, count: int) -> None:
    """Quickly makes `count` finished runs; every tenth logged a metric."""
    os.makedirs(workspace.runs)
    template = make_record("sweep_0_00000000").to_json()
    for number in range(count):
        run_id = f"sweep_{EPOCH_S + number}_{number:08x}"
        folder = f"{workspace.runs}/{run_id}"
        os.mkdir(folder)
        with open(f"{folder}/{workspace.run(run_id).record.name}", "w", encoding="utf-8") as stream:
            json.dump({**template, "run_id": run_id}, stream)
        if number % 10 == 0:
            RunFolder(workspace.run(run_id)).metric("accuracy", number / count, n=0)


def command_line(*arguments: str) -> Sequence[str]:
    """The command `runner` with `arguments`, as a person starts it."""
    return [sys.executable, "-m", "runner", *arguments]
