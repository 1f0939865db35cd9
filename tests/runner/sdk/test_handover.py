"""From v1's objects to the runner's request."""

from __future__ import annotations

import decimal
import fractions
from pathlib import Path
from typing import Any

import pytest

from runner.sdk import (
    DockerConfiguration,
    Environment,
    MpiConfiguration,
    PyTorchConfiguration,
    RunConfiguration,
    ScriptRunConfig,
    TensorflowConfiguration,
)
from runner.sdk.exceptions import ExperimentExecutionException, RunConfigurationException, UserErrorException
from runner.sdk.handover import to_request
from runner.spec.request import MpiSpec, PyTorchSpec, RunRequest, TensorflowSpec
from sidecar.contract.layout import WorkspaceLayout


def request_of(config: ScriptRunConfig, root: Path) -> RunRequest:
    return to_request(config, experiment_name="digits", workspace=WorkspaceLayout(root))


def test_arguments_become_text(project: Path) -> None:
    """Every scalar reaches the script as `str` gives it."""
    values = ["--a b", 3, 0.1, True, None, decimal.Decimal("1.50"), fractions.Fraction(1, 3), Path("x/y")]
    config = ScriptRunConfig(project, "train.py", values)
    assert request_of(config, project).arguments == ("--a b", "3", "0.1", "True", "None", "1.50", "1/3", "x/y")


@pytest.mark.parametrize("value", [[1], {"a": 1}, b"x", object(), {1}])
def test_arguments_without_one_text_are_refused(project: Path, value: Any) -> None:
    """A list or an object is no argument; the message says which one it is."""
    with pytest.raises(UserErrorException, match=r"arguments\[1\] must be text"):
        request_of(ScriptRunConfig(project, "train.py", ["a", value]), project)


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        (MpiConfiguration(2, 3), MpiSpec(process_count_per_node=2, node_count=3)),
        (PyTorchConfiguration("Nccl", 4, 2), PyTorchSpec(process_count=4, node_count=2)),
        (PyTorchConfiguration("gloo", node_count=2), PyTorchSpec.of(communication_backend="Gloo", node_count=2)),
        (TensorflowConfiguration(2, 0), TensorflowSpec(worker_count=2, parameter_server_count=0)),
    ],
)
def test_distributed_configurations(project: Path, configuration: Any, expected: object) -> None:
    """Each becomes the launcher's spec with the same counts."""
    config = ScriptRunConfig(project, "train.py", distributed_job_config=configuration)
    assert request_of(config, project).distributed == expected


def test_run_configuration_by_hand(project: Path) -> None:
    """v1's older way: a communicator, and counts in two places."""
    run_config = RunConfiguration(communicator="OpenMpi")
    run_config.node_count = 2
    run_config.mpi.process_count_per_node = 3
    config = ScriptRunConfig(project, "train.py", run_config=run_config)
    assert request_of(config, project).distributed == MpiSpec(process_count_per_node=3, node_count=2)


def test_unknown_communicator_is_refused(project: Path) -> None:
    """What no launcher knows is named, with what is known."""
    run_config = RunConfiguration(communicator="Smoke")
    with pytest.raises(RunConfigurationException, match="communicator Smoke"):
        request_of(ScriptRunConfig(project, "train.py", run_config=run_config), project)


def test_docker_enabled_after_construction(project: Path) -> None:
    """`src.run_config.environment.docker.enabled = True`, or another environment, still switches to Docker."""
    config = ScriptRunConfig(project, "train.py", environment=Environment("e"))
    config.run_config.environment.docker.enabled = True
    assert request_of(config, project).docker.use_docker
    other = Environment("other")
    config.run_config.environment = other
    assert not request_of(config, project).docker.use_docker


def test_docker_configuration_outranks_the_environment(project: Path) -> None:
    """Said in the run configuration, at whatever time, Docker is as said there."""
    config = ScriptRunConfig(project, "train.py", environment=Environment("e"))
    config.run_config.docker.use_docker = True
    assert request_of(config, project).docker.use_docker
    config.run_config.docker = DockerConfiguration(use_docker=False)
    config.run_config.environment.docker.enabled = True
    assert not request_of(config, project).docker.use_docker


def test_environment(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are found in the project or the current folder; the run configuration's variables win."""
    (project / "in_project.txt").touch()
    (project.parent / "beside.txt").touch()
    monkeypatch.chdir(project.parent)
    environment = Environment("e")
    environment.python.pip_requirements = "in_project.txt"
    environment.environment_variables = {"A": 1, "B": "env"}  # type: ignore[dict-item]  # v1's scripts do that
    config = ScriptRunConfig(project, "train.py", environment=environment)
    config.run_config.environment_variables = {"B": "run"}
    found = request_of(config, project).environment
    assert found.pip_requirements == str(project / "in_project.txt")
    assert found.environment_variables == {"A": "1", "B": "run"}
    assert found.interpreter_path is None
    environment.python.pip_requirements = "beside.txt"
    assert request_of(config, project).environment.pip_requirements == str(project.parent / "beside.txt")
    environment.python.conda_dependencies_file = "beside.txt"
    with pytest.raises(UserErrorException, match="a job has one environment"):
        request_of(config, project)


def test_requirements_may_be_a_list(project: Path) -> None:
    """The requirements themselves, one an item."""
    environment = Environment("e")
    environment.python.pip_requirements = ["numpy", "scipy>=1"]
    config = ScriptRunConfig(project, "train.py", environment=environment)
    assert request_of(config, project).environment.pip_requirements == ("numpy", "scipy>=1")


def test_command_list_is_joined(project: Path) -> None:
    """As v1 joins it: with blanks, nothing quoted."""
    config = ScriptRunConfig(project, command=["python", "train.py", "&&", "echo", 3])
    assert request_of(config, project).command == "python train.py && echo 3"


def test_missing_script_is_told_in_v1s_words(project: Path) -> None:
    """The message is the documented one."""
    with pytest.raises(ExperimentExecutionException) as caught:
        request_of(ScriptRunConfig(project, "nothing.py"), project)
    path = project / "nothing.py"
    assert caught.value.message == f"{path} script path doesn't exist. The script should be inside the project folder"


def test_missing_target_is_told_in_v1s_words(project: Path) -> None:
    """A run needs a target."""
    config = ScriptRunConfig(project, "train.py")
    config.run_config.target = None
    with pytest.raises(ExperimentExecutionException, match="Must specify a target either through run configuration"):
        request_of(config, project)


def test_target_may_be_an_object(project: Path) -> None:
    """v1's compute targets are known by their names."""
    named = type("Target", (), {"name": "local"})()
    config = ScriptRunConfig(project, "train.py", compute_target=named)
    assert request_of(config, project).compute_target.name == "local"
