"""Data sets of jobs in containers on hosts: sent once, read-only inside, and outputs brought home."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.docker import images
from tests.docker_nodes.stage import LIMIT_S, NodesStage

pytestmark = [pytest.mark.docker, pytest.mark.lab, pytest.mark.timeout(600)]

_SUBMIT = """
import sys
from runner.sdk import Dataset, DockerConfiguration, Environment, Experiment, OutputFileDatasetConfig, ScriptRunConfig
from runner.sdk import Workspace
folder, image = sys.argv[1:]
workspace, environment = Workspace.from_config(), Environment("image")
environment.docker.base_image = image
environment.python.user_managed_dependencies = True
made = OutputFileDatasetConfig("made", destination=f"{folder}-made").as_upload()
config = ScriptRunConfig(
    "src",
    "job.py",
    [Dataset.File.from_files(folder).as_named_input("digits").as_mount(), made],
    compute_target="lab",
    environment=environment,
    docker_runtime_config=DockerConfiguration(use_docker=True),
)
run = Experiment(workspace, "shipped").submit(config)
run.wait_for_completion()
print(run.id)
"""
_READ = """
import os, sys
folder, made = sys.argv[1:]
print(open(os.path.join(folder, "a.csv")).read())
try: open(os.path.join(folder, "a.csv"), "a")
except OSError as error: print("cannot be written")
open(os.path.join(made, "made.txt"), "w").write("made")
"""


def test_data_in_a_container(stage: NodesStage, tmp_path: Path) -> None:
    """The container sees what was sent, under the path that the script is given; `clean` removes it afterwards."""
    data = tmp_path / "digits"
    data.mkdir()
    (data / "a.csv").write_text("1,2,3")
    stage.write("src/job.py", _READ)
    done = stage.python(_SUBMIT, str(data), images.PYTHON_39, limit_s=LIMIT_S)
    run_id = stage.runs()[-1]
    record = json.loads(stage.workspace.run(run_id).record.read_text())
    assert record["status"] == "Completed", stage.explain({**record, "stderr": done.stderr})
    assert stage.workspace.run(run_id).driver_log(None).read_text() == "1,2,3\ncannot be written\n"
    assert (tmp_path / "digits-made" / "made.txt").read_text() == "made"
    assert record["warnings"] == []
    assert "of the data sets" in stage.said(record)
    stage.expect_nothing_left()
