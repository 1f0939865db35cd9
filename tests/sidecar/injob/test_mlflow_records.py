"""What the MLflow stores read out of records; needs no MLflow."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.mlflow_lab import RUN_ID, SITE


@pytest.fixture
def records(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, as a job finds it."""
    import importlib

    monkeypatch.syspath_prepend(str(SITE))
    return importlib.import_module("scriptrun_mlflow.records")


def write(folder: Path, *entries: dict[str, Any], writer: str = "a", process: str = "main") -> None:
    """Appends records, numbered from 0, a nanosecond apart."""
    with open(folder / f"{process}.jsonl", "a") as stream:
        for number, entry in enumerate(entries):
            stream.write(json.dumps({"w": writer, "n": number, "t": 1_000_000 + number, **entry}) + "\n")


def scalar(value: Any, **more: Any) -> dict[str, Any]:
    return {"kind": "scalar", "name": "x", "value": value, "step": None, **more}


def test_values_without_a_step_are_numbered_by_time(records: Any, tmp_path: Path) -> None:
    """Calls of `Run.log` are a curve in MLflow: steps 0, 1, 2 in the order of time, over all processes."""
    write(tmp_path, scalar(1, t=10), scalar(3, t=30))
    write(tmp_path, scalar(2, t=20), writer="b", process="rank_1")
    series = records.Records(str(tmp_path), RUN_ID).refresh().own.series["x"]
    assert [(point.value, point.step) for point in series.points()] == [(1, 0), (2, 1), (3, 2)]
    assert series.latest() == series.points()[-1]


def test_latest_value_is_that_of_the_highest_step(records: Any, tmp_path: Path) -> None:
    """As in MLflow: the highest step, then the latest time, and a number rather than NaN."""
    write(tmp_path, scalar(1, step=7), scalar(2, step=9, at=5), scalar("NaN", f=1, step=9, at=5), scalar(4, step=8))
    assert records.Records(str(tmp_path), RUN_ID).refresh().own.series["x"].latest().value == 2


def test_only_numbers_are_metrics(records: Any, tmp_path: Path) -> None:
    """Texts are no metric; bools, lists and the columns of rows are."""
    row = {"kind": "row", "name": "r", "value": {"u": 1, "v": "NaN", "w": "text"}, "f": {"v": 1}, "step": None}
    listing = {"kind": "list", "name": "l", "value": [1, 2], "step": None}
    write(tmp_path, scalar("text"), scalar(None), scalar(True, name="b"), row, listing)
    series = records.Records(str(tmp_path), RUN_ID).refresh().own.series
    assert {name: found.points()[0].value for name, found in series.items() if name != "r/v"} == {
        "b": 1.0,
        "r/u": 1.0,
        "l": 1.0,
    }
    assert math.isnan(series["r/v"].latest().value)


def test_torn_and_unfinished_lines_cost_only_themselves(records: Any, tmp_path: Path) -> None:
    """What is broken is passed over, an unfinished line is read once it is whole."""
    write(tmp_path, scalar(1))
    path = tmp_path / "main.jsonl"
    with open(path, "a") as stream:
        stream.write('{"w":"a","n":1,"t"\n[]\n{"kind":"scalar"}\n')
    half = json.dumps({"w": "a", "n": 2, "t": 5_000_000, **scalar(2)})
    path.write_text(path.read_text() + half[:20])
    found = records.Records(str(tmp_path), RUN_ID)
    assert len(found.refresh().own.series["x"].points()) == 1
    path.write_text(path.read_text() + half[20:] + "\n")
    assert len(found.refresh().own.series["x"].points()) == 2


def test_a_child_run_of_the_in_job_api_is_one_for_mlflow(records: Any, tmp_path: Path) -> None:
    """Child runs are told by their records, whoever made them."""
    child = {"kind": "child", "r": "c", "parent": RUN_ID, "value": "kid", "origin": "script"}
    write(tmp_path, child, scalar(1, r="c"), {"kind": "status", "r": "c", "status": "Failed", "error": "no"})
    found = records.Records(str(tmp_path), RUN_ID).refresh()
    assert list(found.children) == ["c"]
    assert (found.children["c"].status, found.children["c"].details) == ("Failed", {"display_name": "kid"})
    assert found.own.series == {}


def test_importing_the_plugin_loads_nothing() -> None:
    """What `import mlflow` loads by itself imports neither MLflow nor anything else, and a job loads none of it."""
    script = "import sys; before = set(sys.modules); import scriptrun_mlflow.plugin; print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": str(SITE)}, capture_output=True, text=True, check=True
    )
    assert set(done.stdout.split()) <= {"__future__", "scriptrun_mlflow", "scriptrun_mlflow.plugin"}
