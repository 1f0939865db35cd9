"""A sweep whose trials run in containers."""

from __future__ import annotations

import pytest

from tests.docker import images
from tests.docker.stage import LIMIT_S, DockerStage

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]

_SWEEP = """
import sys
from runner.sdk import DockerConfiguration, Environment, Experiment, ScriptRunConfig, Workspace
from runner.sdk.hyperdrive import GridParameterSampling, HyperDriveConfig, PrimaryMetricGoal, choice
environment = Environment("image")
environment.docker.base_image = sys.argv[1]
environment.python.user_managed_dependencies = True
docker = DockerConfiguration(use_docker=True)
config = ScriptRunConfig("src", "job.py", environment=environment, docker_runtime_config=docker)
sampling, goal = GridParameterSampling({"--rate": choice(1, 3, 2)}), PrimaryMetricGoal.MAXIMIZE
sweep = HyperDriveConfig(
    sampling, "accuracy", goal, run_config=config, max_total_runs=3, max_concurrent_runs=2
)
run = Experiment(Workspace.from_config(), "contained").submit(sweep)
run.wait_for_completion()
print(run.get_status(), [child.get_status() for child in run.get_children()])
print("best", run.get_best_run_by_primary_metric().get_metrics())
"""
_TRIAL = """
import os, sys
from azureml.core import Run
assert os.path.exists("/.dockerenv")
Run.get_context().log("accuracy", float(sys.argv[2]))
"""


def test_trials_run_in_containers(stage: DockerStage) -> None:
    """Two at once; their metrics decide which was the best, and no container is left."""
    stage.write("src/job.py", _TRIAL)
    done = stage.python(_SWEEP, images.PYTHON_39, limit_s=LIMIT_S)
    assert "Completed ['Completed', 'Completed', 'Completed']" in done.stdout, done.stdout + done.stderr
    assert "best {'accuracy': 3.0}" in done.stdout
    stage.expect_nothing_left()
