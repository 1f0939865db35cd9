"""ScriptRunConfig: what it takes over from where, and what it says about it."""

from __future__ import annotations

import logging
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
from runner.sdk.exceptions import RunConfigurationException, UserErrorException


def test_without_run_config_a_fresh_one_is_made() -> None:
    """Target, environment and duration go into a run configuration of its own."""
    environment = Environment("e")
    config = ScriptRunConfig(".", "train.py", ["a"], compute_target="gpu", environment=environment)
    assert config.run_config.target == "gpu"
    assert config.run_config.environment is environment
    assert config.run_config.max_run_duration_seconds == 2592000
    assert ScriptRunConfig(".").run_config.target == "local"


@pytest.mark.parametrize(
    ("configuration", "expected"),
    [
        (MpiConfiguration(2, 3), (3, "Python", "IntelMpi")),
        (PyTorchConfiguration("Gloo", 4, 2), (2, "PyTorch", "gloo")),
        (TensorflowConfiguration(4, 1), (4, "TensorFlow", "ParameterServer")),
    ],
)
def test_distributed_configuration_sets_the_framework(configuration: Any, expected: tuple[int, str, str]) -> None:
    """Node count, framework and communicator follow from the type, as v1 maps them."""
    run_config = ScriptRunConfig(".", distributed_job_config=configuration).run_config
    assert (run_config.node_count, run_config.framework, run_config.communicator) == expected


def test_run_config_outranks_what_it_can_say_itself(caplog: pytest.LogCaptureFixture) -> None:
    """Beside a run configuration the other parameters are ignored, with a warning."""
    run_config = RunConfiguration(script="theirs.py", arguments=["1"])
    with caplog.at_level(logging.WARNING):
        config = ScriptRunConfig(".", run_config=run_config, compute_target="gpu", environment=Environment("mine"))
    assert config.run_config.target == "local"
    assert config.run_config.environment.name == "default-environment"
    assert (config.script, config.arguments) == ("theirs.py", ["1"])
    assert caplog.messages[0].startswith("If 'run_config' is specified, the following parameters will be ignored: ")


def test_own_script_outranks_that_of_run_config(caplog: pytest.LogCaptureFixture) -> None:
    """Given in both places, the script here wins, and v1's warning says so."""
    with caplog.at_level(logging.WARNING):
        config = ScriptRunConfig(".", "mine.py", run_config=RunConfiguration(script="theirs.py"))
    assert config.script == "mine.py"
    assert caplog.messages == [
        "If 'script' has been provided here and a script file name has been specified in 'run_config', 'script' "
        "provided in ScriptRunConfig initialization will take precedence."
    ]


def test_nothing_is_warned_of_for_defaults(caplog: pytest.LogCaptureFixture) -> None:
    """A run configuration alone is no reason for a warning."""
    ScriptRunConfig(".", run_config=RunConfiguration(command="python a.py"))
    assert not caplog.messages


def test_docker_of_the_environment_is_taken_over() -> None:
    """Without a docker configuration the environment's word counts; with one, that."""
    environment = Environment("e")
    environment.docker.enabled = True
    assert ScriptRunConfig(".", environment=environment).run_config.docker.use_docker
    explicit = ScriptRunConfig(".", environment=environment, docker_runtime_config=DockerConfiguration())
    assert not explicit.run_config.docker.use_docker


@pytest.mark.parametrize(
    ("parameters", "error", "text"),
    [
        ({"distributed_job_config": 2}, RunConfigurationException, "'distributed_job_config' must be an 'azureml.core"),
        ({"docker_runtime_config": True}, RunConfigurationException, "'docker_runtime_config' must be a 'Docker"),
        ({"resume_from": "x"}, UserErrorException, "resume_from parameter should be of type DataPath. Found "),
        ({"arguments": "--epochs 3"}, UserErrorException, "'arguments' must be a list"),
    ],
)
def test_wrong_types_are_refused(parameters: dict[str, Any], error: type[Exception], text: str) -> None:
    """Each with v1's exception and words."""
    with pytest.raises(error) as caught:
        ScriptRunConfig(".", "train.py", **parameters)
    assert str(caught.value).splitlines()[1].startswith(f"\tMessage: {text}")


def test_positional_order_is_that_of_v1() -> None:
    """source_directory, script, arguments, run_config, telemetry, compute_target, environment, ..."""
    environment = Environment("e")
    config = ScriptRunConfig(
        ".", "s.py", ["a"], None, None, "local", environment, MpiConfiguration(2), None, 60, None, DockerConfiguration()
    )
    assert config.run_config.environment is environment
    assert config.run_config.max_run_duration_seconds == 60
    assert config.run_config.mpi.process_count_per_node == 2
