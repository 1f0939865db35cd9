"""Logging and reading metrics, against trackers that a script might use instead, each on the same loop."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from pathlib import Path

from runner.store import history_index, index_file, metrics_index
from sidecar.contract import settings
from sidecar.contract.layout import RunLayout, WorkspaceLayout
from tests.benchmarks.report import ROOT, Row, Section
from tests.benchmarks.stage import Stage
from tests.benchmarks.timing import CommandFailedError
from tests.benchmarks.timing import measure as measure_once

NAME = "metrics"

_LOG_LIMIT_US = 8.0
_IMPORT_LIMIT_MS = 50.0
_ALL_LIMIT_S = 0.6
_ONE_LIMIT_MS = 20.0
_INTAKE_LIMIT_S = 5.0
_REBUILD_LIMIT_S = 15.0
_BY_METRIC_LIMIT_MS = 20.0
_NAMES, _POINTS = 100, 10_000
_RUNS, _RUN_METRICS = 10_000, 10
_RUN_ID = "bench_1700000000_0123abcd"
_SITE = ROOT / "sidecar" / "injob" / "site"

# Each peer's way to log one number; `log(name, value, step)` is what the loop calls.
_OURS = "from azureml.core import Run\nrun = Run.get_context()\nlog = lambda n, v, s: run.log(n, v, step=s)"
_MLFLOW = "import mlflow\nmlflow.start_run()\nlog = lambda n, v, s: mlflow.log_metric(n, v, step=s)"
_TENSORBOARDX = "from tensorboardX import SummaryWriter\nwriter = SummaryWriter('tb')\nlog = writer.add_scalar"
_WANDB = "import wandb\nrun = wandb.init(mode='offline', project='p')\nlog = lambda n, v, s: run.log({n: v}, step=s)"
_AIM = "from aim import Run\nrun = Run()\nlog = lambda n, v, s: run.track(v, name=n, step=s)"
_LOOP = """
import time
{begin}
def measured(count):
    start = time.perf_counter()
    for number in range(count): log("loss", 0.25 * number, number)
    return (time.perf_counter() - start) / count * 1e6
log("warm", 0.5, 0)
print("us", min(measured({count}) for _ in range({rounds})))
"""
_IMPORT = """
import time
start = time.perf_counter()
from azureml.core import Run
print("us", (time.perf_counter() - start) * 1e6)
"""


def measure(stage: Stage) -> Section:
    """One call, the import, and reading a million points back."""
    section = Section(name=NAME, title="run.log with the record on disk; a million points read back")
    ours = {**_job(stage), "PYTHONPATH": str(_SITE)}
    found = [_script(stage, "import", _IMPORT, stage.python, ours) / 1e3 for _ in range(stage.count(9))]
    section.add(Row(what="import azureml.core.Run", values=found, unit="ms", limit=_IMPORT_LIMIT_MS))
    found = [_loop(stage, "ours", _OURS, stage.python, ours, count=5000) for _ in range(stage.count(5))]
    section.add(Row(what="run.log", values=found, unit="us", limit=_LOG_LIMIT_US))
    _measure_peers(stage, section, ours)
    _measure_reading(stage, section)
    _measure_search(stage, section)
    return section


def _job(stage: Stage) -> dict[str, str]:
    root = RunLayout(stage.scratch / "metrics" / _RUN_ID)
    root.metrics.mkdir(parents=True)
    return stage.environ(
        **{
            settings.AZUREML_RUN_ID: _RUN_ID,
            settings.AZUREML_EXPERIMENT_NAME: "bench",
            settings.METRICS_FILE: str(root.process_metrics("main")),
            settings.RUN_ROOT: str(root.root),
        }
    )


def _measure_peers(stage: Stage, section: Section, ours: dict[str, str]) -> None:
    """Trackers on the same loop, as far as they can be installed; `launchers` has MLflow."""
    sqlite = {"MLFLOW_TRACKING_URI": f"sqlite:///{stage.scratch}/metrics.db", "MLFLOW_DISABLE_TELEMETRY": "true"}
    plugin = {
        **{name: value for name, value in ours.items() if name != "PATH"},
        "MLFLOW_TRACKING_URI": f"scriptrun-job://{ours[settings.RUN_ROOT]}",
        "MLFLOW_RUN_ID": _RUN_ID,
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    for label, environment, begin, environ, count in (
        ("tensorboardX", "tensorboardx", _TENSORBOARDX, {}, 2000),
        ("wandb, offline", "wandb", _WANDB, {"WANDB_SILENT": "true"}, 2000),
        ("aim", "aim", _AIM, {}, 2000),
        ("mlflow, sqlite", "launchers", _MLFLOW, sqlite, 200),
        ("mlflow, through the plugin", "launchers", _MLFLOW, plugin, 2000),
    ):
        if stage.is_small:
            continue
        peer = stage.peer(environment, section)
        if peer.problem:
            continue
        try:
            values = [
                _loop(stage, label, begin, peer.python, {**stage.environ(python=peer.python), **environ}, count=count)
                for _ in range(min(3, stage.count(3)))
            ]
        except CommandFailedError as error:
            section.notes.append(f"SKIPPED: {error}")
            continue
        section.add(Row(what=label, values=values, unit="us"))


def _loop(stage: Stage, label: str, begin: str, python: str, environ: dict[str, str], *, count: int) -> float:
    return _script(stage, label, _LOOP.format(begin=begin, count=count, rounds=3), python, environ)


def _script(stage: Stage, label: str, source: str, python: str, environ: dict[str, str]) -> float:
    """What the script says it measured, in microseconds."""
    folder = "metrics-" + "".join(letter for letter in label if letter.isalnum())
    path = stage.write(folder, "loop.py", source)
    command = stage.command(f"metrics {label}", python, str(path), environ=environ, cwd=path.parent, timeout_s=300)
    measure_once(command)
    told = [line.split() for line in command.stdout.read_text().splitlines() if line.startswith("us ")]
    if not told:
        raise CommandFailedError(f"{label}: it did not say how long it took")
    return float(told[-1][1])


def _measure_reading(stage: Stage, section: Section) -> None:
    points = stage.size(_POINTS, small=100)
    workspace = WorkspaceLayout(stage.scratch / "million")
    _write(workspace.run(_RUN_ID).process_metrics("main"), points)
    begin = time.perf_counter()
    metrics_index.take_in(workspace, _RUN_ID)
    took = time.perf_counter() - begin
    total = _NAMES * points
    section.add(Row(what=f"{total:,} points into history.db", values=[took], limit=_INTAKE_LIMIT_S))
    whole, one = [], []
    for _ in range(stage.count(5)):
        begin = time.perf_counter()
        values = metrics_index.read_run_metrics(workspace, _RUN_ID).by_name()
        whole.append(time.perf_counter() - begin)
        begin = time.perf_counter()
        metrics_index.read_run_metrics(workspace, _RUN_ID, name="metric_7").by_name()
        one.append((time.perf_counter() - begin) * 1e3)
    if sum(map(len, values.values())) != total:
        raise OSError(f"{sum(map(len, values.values())):,} of {total:,} points came back")
    section.add(Row(what=f"read {_NAMES} metrics of {points:,} points", values=whole, limit=_ALL_LIMIT_S))
    section.add(Row(what="read one of them", values=one, unit="ms", limit=_ONE_LIMIT_MS))
    index_file.remove(workspace)
    shutil.rmtree(workspace.root)


def _measure_search(stage: Stage, section: Section) -> None:
    """Many runs of few metrics: the index from the folders, and runs by a metric out of it."""
    count = stage.size(_RUNS, small=100)
    workspace = WorkspaceLayout(stage.scratch / "runs-by-metric")
    for number in range(count):
        _write_run(workspace, number)
    begin = time.perf_counter()
    history_index.reindex(workspace)
    took = time.perf_counter() - begin
    section.add(
        Row(what=f"index of {count:,} runs, {_RUN_METRICS} metrics each", values=[took], limit=_REBUILD_LIMIT_S)
    )
    found = []
    with contextlib.closing(index_file.connect(str(workspace.history))) as database:
        for _ in range(stage.count(9)):
            begin = time.perf_counter()
            rows = history_index.query_by_metric(
                database, "metric_3", least=0.5, greatest=1.0, statuses=["Completed"], limit=100
            )
            found.append((time.perf_counter() - begin) * 1e3)
    if len(rows) != min(100, count // 2):
        raise OSError(f"{len(rows)} runs were found")
    section.add(Row(what="the 100 best of them by a metric", values=found, unit="ms", limit=_BY_METRIC_LIMIT_MS))
    shutil.rmtree(workspace.root)


def _write_run(workspace: WorkspaceLayout, number: int) -> None:
    """Straight into the files: a record waits for the disk, which is no part of what is measured."""
    layout = workspace.run(f"sweep_{1_790_000_000 + number}_{number:08x}")
    layout.metrics.mkdir(parents=True)
    record = {"run_id": layout.root.name, "experiment_name": "sweep", "status": "Completed"}
    record["created_utc"] = "2026-11-21T12:00:00.000000+00:00"
    layout.record.write_text(json.dumps(record))
    head = {"w": f"{number:032x}", "step": None, "kind": "scalar", "value": number % 100 / 100}
    lines = [json.dumps({**head, "n": n, "t": n, "name": f"metric_{n}"}) for n in range(_RUN_METRICS)]
    layout.process_metrics("main").write_text("\n".join(lines) + "\n")


def _write(path: Path, points: int) -> None:
    """The records of one process, as `run.log` writes them."""
    path.parent.mkdir(parents=True)
    writer = os.urandom(16).hex()
    with open(path, "w", encoding="ascii") as stream:
        for number in range(_NAMES * points):
            record = {"w": writer, "n": number, "t": 1_700_000_000_000_000_000 + number * 1000}
            record |= {"name": f"metric_{number % _NAMES}", "value": number * 0.123, "step": number // _NAMES}
            stream.write(json.dumps({**record, "kind": "scalar"}, separators=(",", ":")) + "\n")
