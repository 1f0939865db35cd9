"""Runs that log to MLflow, started by the real command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.interop.mirror_state import read_state
from tests.doubles.command import Command
from tests.doubles.mlflow_lab import read_lines
from tests.doubles.mlflow_server import MlflowServerDouble
from tests.doubles.node_lab import wait_until

pytestmark = [pytest.mark.mlflow, pytest.mark.timeout(300)]

SCRIPT = """
import os, mlflow
assert os.environ["MLFLOW_RUN_ID"] == os.environ["AZUREML_RUN_ID"]
with mlflow.start_run() as run:
    mlflow.log_metric("loss", 0.5)
    mlflow.log_param("lr", 0.1)
    mlflow.log_text("hello", "note.txt")
assert run.info.run_id == os.environ["AZUREML_RUN_ID"]
"""


@pytest.mark.parametrize("what", ["script: train.py", "command: python train.py"])
def test_job_finds_its_run_without_anything_installed(command: Command, mlflow_newest: Path, what: str) -> None:
    """A script, and a Python that a command starts, log to the run; nobody's own MLflow settings get in between."""
    command.write("train.py", SCRIPT)
    python = f"{{user_managed_dependencies: true, interpreter_path: {mlflow_newest}}}"
    command.write("train.yml", f"{what}\nenvironment: {{python: {python}}}\n")
    command.environ |= {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_EXPERIMENT_NAME": "mine"}
    run = command.submit("train.yml", "--show-output")
    assert json.loads(run.record.read_text())["status"] == "Completed", run.driver_log(None).read_text()
    kinds = [record["kind"] for record in read_lines(run.process_metrics("main"))]
    assert kinds == ["scalar", "param"]
    assert (run.root / "artifacts" / "note.txt").read_text() == "hello"


def test_server_of_ones_own_is_left_to_the_user(command: Command, mlflow_newest: Path) -> None:
    """A tracking URI in the config is the job's, and no run is named there."""
    command.write("train.py", "import os; print({k: v for k, v in sorted(os.environ.items()) if 'MLFLOW_' in k})")
    command.write(
        "train.yml",
        "script: train.py\nenvironment: {environment_variables: {MLFLOW_TRACKING_URI: 'http://127.0.0.1:9'}}\n",
    )
    run = command.submit("train.yml", "--show-output")
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
    printed = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", **quiet}
    assert run.driver_log(None).read_text().strip() == str(dict(sorted(printed.items())))


def test_a_server_that_is_down_costs_the_run_nothing(command: Command) -> None:
    """The run ends as ever while its mirror finds no server; once there is one, everything arrives by itself."""
    closed = MlflowServerDouble()
    closed.close()
    command.write("train.py", "from azureml.core import Run\nRun.get_context().log('loss', 0.5)\n")
    command.write(
        "train.yml", f"script: train.py\ntags: {{team: vision}}\nmlflow: {{tracking_uri: '{closed.address}'}}\n"
    )
    run = command.submit("train.yml", "--show-output")
    assert json.loads(run.record.read_text())["status"] == "Completed"
    server = MlflowServerDouble(int(closed.address.rpartition(":")[2]))
    try:
        wait_until(lambda: (state := read_state(run)) is not None and state.is_complete, what="the mirror", limit_s=100)
        kept = server.run_of(run.root.name)
        assert (kept.values("loss"), kept.tags["team"], kept.info["status"]) == ([(0.5, 0)], "vision", "FINISHED")
    finally:
        server.close()
