"""Data sets of a job in a container of this machine: where they are, and outputs where they are to be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.docker import images
from tests.docker.stage import LIMIT_S, DockerStage

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

_SUBMIT = """
import sys
from runner.sdk import Dataset, DockerConfiguration, Environment, Experiment, OutputFileDatasetConfig, ScriptRunConfig
from runner.sdk import Workspace
folder, image = sys.argv[1:]
workspace, environment = Workspace.from_config(), Environment("image")
environment.docker.base_image = image
environment.python.user_managed_dependencies = True
files = Dataset.File.from_files(folder)
given = [
    files.as_named_input("digits").as_mount(),
    files.skip(1).as_named_input("second").as_mount(),
    OutputFileDatasetConfig("made", destination=f"{folder}-made").as_upload(),
]
docker = DockerConfiguration(use_docker=True)
config = ScriptRunConfig("src", "job.py", given, environment=environment, docker_runtime_config=docker)
run = Experiment(workspace, "contained").submit(config)
run.wait_for_completion()
"""
_READ = """
import os, sys
folder, second, made = sys.argv[1:]
print(open(os.path.join(folder, "a.csv")).read(), os.listdir(second), open(os.path.join(second, "b.csv")).read())
try: open(os.path.join(folder, "a.csv"), "a")
except OSError: print("cannot be written")
open(os.path.join(made, "made.txt"), "w").write("made")
"""


def test_data_in_a_container(stage: DockerStage, tmp_path: Path) -> None:
    """Folders and chosen files are read under the paths that the script is given; what it writes stays outside."""
    data = tmp_path / "digits"
    data.mkdir()
    for name in ("a.csv", "b.csv"):
        (data / name).write_text(name)
    stage.write("src/job.py", _READ)
    done = stage.python(_SUBMIT, str(data), images.PYTHON_39, limit_s=LIMIT_S)
    run_id = stage.runs()[-1]
    record = json.loads(stage.workspace.run(run_id).record.read_text())
    assert record["status"] == "Completed", stage.explain({**record, "stderr": done.stderr})
    log = stage.workspace.run(run_id).driver_log(None).read_text()
    assert log == "a.csv ['b.csv'] b.csv\ncannot be written\n"
    assert (tmp_path / "digits-made" / "made.txt").read_text() == "made"
    stage.expect_nothing_left()
