"""RunConfiguration.save and load."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.sdk import Environment, MpiConfiguration, PyTorchConfiguration, RunConfiguration, ScriptRunConfig
from runner.sdk.exceptions import UserErrorException


def test_what_is_saved_is_loaded(project: Path) -> None:
    """Everything that a run configuration says comes back, by the name with its suffix or without."""
    run_config = ScriptRunConfig(project, distributed_job_config=MpiConfiguration(2, 3)).run_config
    run_config.script, run_config.arguments = "train.py", ["--epochs", 3]
    run_config.environment = Environment("digits")
    run_config.environment.environment_variables = {"A": "1"}
    run_config.docker.use_docker = True
    run_config.save(project, "mpi")
    assert (project / ".azureml" / "mpi.runconfig").is_file()
    for name in ("mpi", "mpi.runconfig"):
        loaded = RunConfiguration.load(project, name)
        assert (loaded.script, loaded.arguments) == ("train.py", ["--epochs", "3"])
        assert (loaded.mpi, loaded.node_count, loaded.communicator) == (MpiConfiguration(2, 3), 3, "IntelMpi")
        assert (loaded.environment.name, loaded.docker.use_docker) == ("digits", True)
        assert loaded.environment.environment_variables == {"A": "1"}
        assert loaded.max_run_duration_seconds == 2592000


def test_a_run_configuration_need_not_say_what_runs(project: Path) -> None:
    """Without a script it is saved and loaded all the same."""
    run_config = ScriptRunConfig(project, distributed_job_config=PyTorchConfiguration("Gloo", 4, 2)).run_config
    run_config.save(project)
    loaded = RunConfiguration.load(project, "local")
    assert (loaded.script, loaded.command) == (None, None)
    assert loaded.pytorch == PyTorchConfiguration("Gloo", 4, 2)


def test_a_file_that_is_not_there(project: Path) -> None:
    """The message names the configuration and the place."""
    with pytest.raises(UserErrorException, match="There is no run configuration gpu in"):
        RunConfiguration.load(project, "gpu")
