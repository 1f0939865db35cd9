"""Environment, RunConfiguration and the distributed configurations."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from runner.sdk import (
    DockerConfiguration,
    Environment,
    MpiConfiguration,
    PyTorchConfiguration,
    RunConfiguration,
    TensorflowConfiguration,
)
from runner.sdk.exceptions import RunConfigurationException, UserErrorException


def test_defaults_are_those_of_v1() -> None:
    """Positional arguments and defaults are the ones that v1's scripts count on."""
    docker = DockerConfiguration(True)
    assert (docker.use_docker, docker.shared_volumes, docker.arguments, docker.shm_size) == (True, True, [], "2g")
    assert MpiConfiguration(2) == MpiConfiguration(process_count_per_node=2, node_count=1)
    assert TensorflowConfiguration() == TensorflowConfiguration(worker_count=1, parameter_server_count=1)
    assert RunConfiguration().target == "local"
    assert RunConfiguration().max_run_duration_seconds is None


def test_pytorch_process_count_is_the_total() -> None:
    """Left out, there is one process a node; given, it is the number over all nodes."""
    assert PyTorchConfiguration(node_count=3).process_count == 3
    assert PyTorchConfiguration("Gloo", 4, 2).process_count == 4


def test_pytorch_refuses_other_backends() -> None:
    """The message is v1's."""
    with pytest.raises(RunConfigurationException) as caught:
        PyTorchConfiguration("mpi")
    assert caught.value.message == ("mpi is not a supported backend. 'communication_backend' must be 'Nccl' or 'Gloo'.")


@pytest.mark.parametrize("name", ["AzureML-Minimal", "Microsoft-Thing"])
def test_environment_refuses_reserved_names(name: str) -> None:
    """Names of curated environments cannot be given to one's own."""
    with pytest.raises(UserErrorException, match="can not start with the prefix"):
        Environment(name)


def test_misspelt_attribute_is_refused() -> None:
    """A setting that does not exist is an error that names the one that was meant."""
    environment = Environment("e")
    with pytest.raises(AttributeError, match="did you mean 'user_managed_dependencies'"):
        environment.python.user_managed_dependancies = True  # type: ignore[attr-defined]  # that is the test
    with pytest.raises(AttributeError, match="did you mean 'node_count'"):
        RunConfiguration().node_cuont = 2  # type: ignore[attr-defined]  # that is the test


def test_environment_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files are remembered by their absolute paths; one that is not there is refused at once."""
    (tmp_path / "requirements.txt").touch()
    (tmp_path / "conda.yml").write_text("dependencies: [python=3.11, {pip: [numpy]}]")
    monkeypatch.chdir(tmp_path)
    pip = Environment.from_pip_requirements("e", "requirements.txt")
    conda = Environment.from_conda_specification("e", "conda.yml")
    assert pip.python.pip_requirements == str(tmp_path / "requirements.txt")
    assert [*conda.python.conda_dependencies.pip_packages] == ["numpy"]
    with pytest.raises(UserErrorException, match="File not found"):
        Environment.from_pip_requirements("e", "nothing.txt")


def test_configurations_can_be_copied() -> None:
    """A deep copy is equal and independent."""
    first = Environment("e")
    second = copy.deepcopy(first)
    second.docker.enabled = True
    assert not first.docker.enabled
