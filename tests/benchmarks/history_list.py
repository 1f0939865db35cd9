"""`history list` in a workspace of 10,000 runs, against `mlflow runs list` with as many."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from runner.history.run_record import RunRecord, iso_utc, with_status, write_record
from runner.history.status import RunStatus
from sidecar.contract.layout import WorkspaceLayout, new_run_id
from tests.benchmarks.peers import Peer
from tests.benchmarks.report import Row, Section
from tests.benchmarks.stage import Stage
from tests.benchmarks.timing import interleave
from tests.benchmarks.timing import measure as measure_once

NAME = "history_list"

_LIMIT_S = 0.3
_RUN_COUNT = 10_000
_METRICS_EVERY = 4
_BEGIN = datetime(2026, 1, 1, tzinfo=timezone.utc)

_MLFLOW_SEED = """
import mlflow

with mlflow.start_run() as run:
    mlflow.log_metric("accuracy", 0.9)
"""
# Each table that a run has rows in, with a copy of the first run's row for every further one.
_MLFLOW_TABLES = ("runs", "tags", "metrics", "latest_metrics")


def measure(stage: Stage) -> Section:
    """The list with a fresh index, with none, and the peer's."""
    section = Section(
        name=NAME, title=f"history list with {_RUN_COUNT:,} runs, {_RUN_COUNT // _METRICS_EVERY:,} with metrics"
    )
    workspace = WorkspaceLayout(stage.scratch / "many")
    _write_runs(workspace)
    environ = stage.environ(RUNNER_WORKSPACE=str(workspace.root))
    listed = stage.runner("runner history list", "history", "list", environ=environ)
    as_json = stage.runner("runner history list -o json", "history", "list", "-o", "json", environ=environ)
    last = stage.runner("runner history list --last 20", "history", "list", "--last", "20", environ=environ)
    first = measure_once(listed)
    samples = interleave([listed, as_json, last], runs=stage.count(9))
    _check(as_json.stdout)
    for command in (listed, as_json, last):
        label = command.label
        row = Row(what=label, values=samples.wall_s(label), cpu_s=samples.cpu_s(label), limit=_LIMIT_S)
        section.add(row)
    section.add(Row(what="runner history list, no index yet", values=[first.wall_s], cpu_s=first.cpu_s))
    shutil.rmtree(workspace.root)
    _measure_mlflow(stage, section)
    return section


def _write_runs(workspace: WorkspaceLayout) -> None:
    with _no_fsync():
        for number in range(_RUN_COUNT):
            begin = _BEGIN + timedelta(minutes=number)
            run_id = new_run_id("digits", epoch_s=int(begin.timestamp()), suffix=f"{number:08x}")
            layout = workspace.run(run_id)
            layout.metrics.mkdir(parents=True)
            record = RunRecord(
                run_id=run_id,
                experiment_name="digits",
                status=RunStatus.NOT_STARTED,
                created_utc=iso_utc(begin),
                script_name="train.py",
                name=f"digits {number}",
                run_number=number,
                tags={"team": "vision"},
                nodes=("local-0", "local-1"),
                request={"script": "train.py", "arguments": ["--epochs", "3"], "distributed": {"type": "Mpi"}},
            )
            record = with_status(record, RunStatus.RUNNING, at=begin)
            end = RunStatus.FAILED if number % 10 == 0 else RunStatus.COMPLETED
            write_record(layout, with_status(record, end, at=begin + timedelta(seconds=number % 600)))
            if number % _METRICS_EVERY == 0:
                _write_metrics(layout.process_metrics("main"), number)


def _write_metrics(path: Path, number: int) -> None:
    lines = [
        {"w": f"{number:032x}", "n": step, "t": step, "name": name, "value": value, "step": step, "kind": "scalar"}
        for step, (name, value) in enumerate([("accuracy", number / _RUN_COUNT), ("loss", 1.0)])
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@contextlib.contextmanager
def _no_fsync() -> Iterator[None]:
    """The record's own writer waits for the disk; 10,000 such waits are no part of what is measured."""
    real = os.fsync
    os.fsync = lambda _: None
    try:
        yield
    finally:
        os.fsync = real


def _check(printed: Path) -> None:
    """A quick answer that leaves runs out is no answer."""
    count = len(json.loads(printed.read_text()))
    if count != _RUN_COUNT:
        raise OSError(f"history list printed {count:,} runs of {_RUN_COUNT:,}")


def _measure_mlflow(stage: Stage, section: Section) -> None:
    peer = stage.peer("launchers", section)
    if peer.problem:
        return
    database = stage.scratch / "history-mlflow.db"
    environ = stage.environ(
        python=peer.python, MLFLOW_TRACKING_URI=f"sqlite:///{database}", MLFLOW_DISABLE_TELEMETRY="true"
    )
    try:
        _write_mlflow_runs(stage, peer, database, environ)
    except sqlite3.Error as error:
        section.notes.append(f"SKIPPED: mlflow: its database has another shape than expected: {error}")
        return
    argv = (peer.program("mlflow"), "runs", "list", "--experiment-id", "0")
    command = stage.command("mlflow runs list", *argv, environ=environ, is_optional=True)
    samples = interleave([command], runs=min(3, stage.count(3)))
    section.add(Row(what=command.label, values=samples.wall_s(command.label), cpu_s=samples.cpu_s(command.label)))
    section.notes += [f"SKIPPED: {why}" for why in samples.skipped.values()]
    if not samples.skipped:
        lines = command.stdout.read_text().strip().splitlines()
        section.notes.append(f"mlflow runs list prints {len(lines) - 2:,} of its {_RUN_COUNT:,} runs")


def _write_mlflow_runs(stage: Stage, peer: Peer, database: Path, environ: dict[str, str]) -> None:
    """One run by mlflow itself, copied inside its database: through its interface 10,000 take minutes."""
    seed = stage.write("mlflow", "seed.py", _MLFLOW_SEED)
    measure_once(stage.command("mlflow: one run", peer.python, str(seed), cwd=seed.parent, environ=environ))
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        for table in _MLFLOW_TABLES:
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            chosen = ", ".join("printf('%032x', n.value)" if name == "run_uuid" else f't."{name}"' for name in columns)
            connection.execute(
                f"INSERT INTO {table} WITH RECURSIVE n(value) AS"
                f" (SELECT 1 UNION ALL SELECT value + 1 FROM n WHERE value < {_RUN_COUNT - 1})"
                f" SELECT {chosen} FROM {table} AS t, n"
            )
