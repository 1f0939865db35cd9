"""v1's estimators: older ways to write a ScriptRunConfig, which they become when they are submitted."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from runner.sdk.conda_dependencies import CondaDependencies
from runner.sdk.distributed import MpiConfiguration, PyTorchConfiguration, TensorflowConfiguration
from runner.sdk.environment import Environment
from runner.sdk.exceptions import UserErrorException
from runner.sdk.script_run_config import DEFAULT_MAX_RUN_DURATION_S, ScriptRunConfig


class Mpi(MpiConfiguration):
    """v1's older word for MpiConfiguration."""


class ParameterServer(TensorflowConfiguration):
    """v1's older word for TensorflowConfiguration."""


class Nccl(PyTorchConfiguration):
    """v1's older word for PyTorchConfiguration with NCCL."""

    def __init__(self) -> None:
        super().__init__("Nccl")


class Gloo(PyTorchConfiguration):
    """v1's older word for PyTorchConfiguration with Gloo."""

    def __init__(self) -> None:
        super().__init__("Gloo")


class Estimator:
    """A script with its packages. Raises UserErrorException where no script is named."""

    _packages: tuple[str, ...] = ()

    def __init__(
        self,
        source_directory: str,
        *,
        compute_target: Any = None,
        entry_script: str | None = None,
        script_params: Mapping[str, Any] | None = None,
        node_count: int = 1,
        process_count_per_node: int = 1,
        distributed_backend: str | None = None,
        distributed_training: Any = None,
        use_gpu: bool = False,
        use_docker: bool = False,
        conda_packages: Sequence[str] | None = None,
        pip_packages: Sequence[str] | None = None,
        pip_requirements_file: str | None = None,
        environment_definition: Environment | None = None,
        environment_variables: Mapping[str, str] | None = None,
        inputs: Sequence[Any] | None = None,
        max_run_duration_seconds: int | None = DEFAULT_MAX_RUN_DURATION_S,
        framework_version: str | None = None,
        custom_docker_image: str | None = None,
        **_others: Any,
    ) -> None:
        if not entry_script:
            raise UserErrorException("entry_script must name the script to run.")
        environment = environment_definition or Environment("estimator")
        if environment_definition is None:
            environment.python.conda_dependencies = CondaDependencies.create(
                conda_packages,
                [*self._packages, *(pip_packages or ()), *_lines(pip_requirements_file, source_directory)],
            )
            environment.docker.base_image = custom_docker_image
        environment.environment_variables = {**environment.environment_variables, **(environment_variables or {})}
        self._config = ScriptRunConfig(
            source_directory,
            entry_script,
            [*_arguments(script_params or {}), *(inputs or ())],
            compute_target=compute_target,
            environment=environment,
            distributed_job_config=_distributed(
                distributed_training or distributed_backend, node_count, process_count_per_node
            ),
            max_run_duration_seconds=max_run_duration_seconds,
        )
        if use_docker:
            self._config.run_config.docker.use_docker = True

    @property
    def run_config(self) -> Any:
        """The run configuration, to be changed until the submit."""
        return self._config.run_config

    def to_script_run_config(self) -> ScriptRunConfig:
        """What is submitted."""
        return self._config


class TensorFlow(Estimator):
    """A script that needs TensorFlow."""

    _packages = ("tensorflow",)


class PyTorch(Estimator):
    """A script that needs PyTorch."""

    _packages = ("torch", "torchvision")


class Chainer(Estimator):
    """A script that needs Chainer."""

    _packages = ("chainer",)


class SKLearn(Estimator):
    """A script that needs scikit-learn."""

    _packages = ("scikit-learn", "joblib")


def _arguments(parameters: Mapping[str, Any]) -> list[Any]:
    return [part for name, value in parameters.items() for part in ((name, value) if value != "" else (name,))]


def _lines(file: str | None, folder: str) -> list[str]:
    if file is None:
        return []
    with open(os.path.join(folder, file), encoding="utf-8") as stream:
        return [line.strip() for line in stream if line.strip() and not line.lstrip().startswith("#")]


def _distributed(kind: Any, node_count: int, process_count_per_node: int) -> Any:
    """What v1's arguments say of processes; node and process counts stand beside the kind there."""
    if isinstance(kind, str):
        kind = {"mpi": Mpi, "ps": ParameterServer, "nccl": Nccl, "gloo": Gloo}[kind.lower()]()
    if isinstance(kind, TensorflowConfiguration):
        return kind
    if isinstance(kind, PyTorchConfiguration):
        return PyTorchConfiguration(kind.communication_backend, node_count * process_count_per_node, node_count)
    if kind is not None or node_count * process_count_per_node > 1:
        count = max(process_count_per_node, getattr(kind, "process_count_per_node", 1))
        return MpiConfiguration(count, node_count)
    return None
