"""`runner metrics`: as a table, JSON, CSV and a picture, of a run that has ended or goes on."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from pathlib import Path

import pytest

from runner.cli.plot import draw
from runner.history.status import RunStatus
from sidecar.contract.layout import WorkspaceLayout
from tests.doubles.run_folders import RunFolder, command_line, new_run


@pytest.fixture
def workspace(tmp_path: Path) -> WorkspaceLayout:
    return WorkspaceLayout(tmp_path / "w")


@pytest.fixture
def run(workspace: WorkspaceLayout) -> RunFolder:
    run = new_run(workspace)
    run.record()
    for step in range(4):
        run.metric("loss", 4.0 - step, n=step, second=step, step=step)
    run.metric("roc", {"x": [0, 1], "y": [0, 0.5]}, n=4, second=4, kind="table")
    return run


def environ(workspace: WorkspaceLayout) -> dict[str, str]:
    return {**os.environ, "RUNNER_WORKSPACE": str(workspace.root), "PYTHONIOENCODING": "utf-8", "COLUMNS": "60"}


def answer(workspace: WorkspaceLayout, *arguments: str) -> str:
    command = command_line("metrics", *arguments)
    done = subprocess.run(command, env=environ(workspace), capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_points_of_one_metric(workspace: WorkspaceLayout, run: RunFolder) -> None:
    """A name gives every point with its time, process and step; other metrics are left out."""
    header, first, *_, last = answer(workspace, run.run_id, "loss").splitlines()
    assert header.split() == ["Time", "Process", "Name", "Step", "Value"]
    assert first.split()[1:] == ["main", "loss", "0", "4"] and last.split()[1:] == ["main", "loss", "3", "1"]


def test_json_of_some(workspace: WorkspaceLayout, run: RunFolder) -> None:
    """JSON is an object of lists, of a table its rows."""
    found = json.loads(answer(workspace, "last", "roc", "loss", "-o", "json"))
    assert found == {"loss": [4.0, 3.0, 2.0, 1.0], "roc": [{"x": 0, "y": 0}, {"x": 1, "y": 0.5}]}


def test_csv(workspace: WorkspaceLayout, run: RunFolder) -> None:
    """CSV has a line a point, what is no number or text as JSON."""
    rows = list(csv.DictReader(io.StringIO(answer(workspace, "last", "-o", "csv"))))
    assert [(row["name"], row["step"], row["value"]) for row in rows[3:5]] == [
        ("loss", "3", "1.0"),
        ("roc", "", '{"x": 0, "y": 0}'),
    ]


def test_picture(workspace: WorkspaceLayout, run: RunFolder) -> None:
    """A falling line begins at the top left and ends at the bottom right; the extremes stand beside it."""
    lines = answer(workspace, "last", "loss", "-o", "plot").splitlines()
    assert lines[0] == "loss" and lines[1].split()[0] == "4" and lines[8].split()[0] == "1"
    assert lines[9].split() == ["0", "3"] and all(len(line) <= 60 for line in lines)


def test_plot_of_plain_characters() -> None:
    """Where the terminal knows no dots there are stars; what is not finite is left out."""
    picture = draw([0, 1, 2, 3], [0, 1, float("nan"), 3], width=15, height=4, has_dots=False)
    assert picture == "         3    *\n             *\n            *\n         0 *\n           0  3\n"
    assert draw([0], [float("inf")], width=20, height=4, has_dots=True) == ""


def test_unknown_name(workspace: WorkspaceLayout, run: RunFolder) -> None:
    """A name that was not logged is said, with what to type."""
    command = command_line("metrics", "last", "nope")
    done = subprocess.run(command, env=environ(workspace), capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 4 and "logged no metric called 'nope'" in done.stderr


@pytest.mark.parametrize(
    ("output", "shown"), [("table", "  7  0.5"), ("json", '"step": 7, "value": 0.5'), ("csv", ",7,0.5")]
)
def test_following(output: str, shown: str, workspace: WorkspaceLayout, run: RunFolder) -> None:
    """Points are shown as they come, and the command ends with the run."""
    run.record(RunStatus.RUNNING, request={})
    command = command_line("metrics", "-f", "-o", output, run.run_id, "late")
    with subprocess.Popen(command, env=environ(workspace), stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        run.metric("late", 0.5, n=5, second=9, step=7)
        lines = iter(process.stdout.readline, "")
        assert any(shown in line for line in lines)
        run.record(RunStatus.COMPLETED)
        assert process.wait(60) == 0
