"""RunConfiguration: everything about a run but its folder (reference azureml-v1.md 1.3)."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from typing import Any

from runner.sdk.distributed import (
    LOCAL,
    MPI_COMMUNICATORS,
    PARAMETER_SERVER,
    DockerConfiguration,
    MpiConfiguration,
    PyTorchConfiguration,
    TensorflowConfiguration,
)
from runner.sdk.element import Element
from runner.sdk.environment import Environment
from runner.sdk.exceptions import RunConfigurationException
from runner.sdk.run_configuration_sections import (
    AmlComputeConfiguration,
    HdiConfiguration,
    HistoryConfiguration,
    KubernetesComputeConfiguration,
    SparkConfiguration,
)

DistributedConfiguration = MpiConfiguration | PyTorchConfiguration | TensorflowConfiguration


class RunConfiguration(Element):
    """What runs where, in which environment, in how many processes. Every attribute may be changed until submit."""

    script: str | None
    arguments: list[Any]
    command: str | Sequence[str] | None
    target: Any
    framework: str
    communicator: str
    node_count: int
    max_run_duration_seconds: int | None
    environment: Environment
    environment_variables: dict[str, str]
    mpi: MpiConfiguration
    pytorch: PyTorchConfiguration
    tensorflow: TensorflowConfiguration
    data_references: dict[str, Any]
    data: dict[str, Any]
    output_data: dict[str, Any]
    history: HistoryConfiguration
    spark: SparkConfiguration
    hdi: HdiConfiguration
    amlcompute: AmlComputeConfiguration
    kubernetescompute: KubernetesComputeConfiguration
    priority: int | None
    credential_passthrough: bool
    source_directory_data_store: str | None
    datacaches: list[Any]
    application_endpoints: dict[str, Any]

    def __init__(
        self,
        script: str | None = None,
        arguments: Sequence[Any] | None = None,
        framework: str | None = None,
        communicator: str | None = None,
        conda_dependencies: Any = None,
        _history_enabled: bool | None = None,
        _path: str | None = None,
        _name: str | None = None,
        command: str | Sequence[str] | None = None,
    ) -> None:
        self.script = script
        self.arguments = list(arguments or ())
        self.command = command
        self.target = LOCAL
        self.framework = framework or "Python"
        self.communicator = communicator or "None"
        self.node_count = 1
        self.max_run_duration_seconds = None
        self.environment = Environment()
        if conda_dependencies is not None:
            self.environment.python.conda_dependencies = conda_dependencies
        self.data_references = {}
        self.data = {}
        self.output_data = {}
        self.history = HistoryConfiguration()
        self.spark = SparkConfiguration()
        self.hdi = HdiConfiguration()
        self.amlcompute = AmlComputeConfiguration()
        self.kubernetescompute = KubernetesComputeConfiguration()
        self.priority = None
        self.credential_passthrough = False
        self.source_directory_data_store = None
        self.datacaches = []
        self.application_endpoints = {}
        self.environment_variables = {}
        self.mpi = MpiConfiguration()
        self.pytorch = PyTorchConfiguration()
        self.tensorflow = TensorflowConfiguration()
        self._docker = DockerConfiguration()
        self._derived_docker: DockerConfiguration | None = copy.deepcopy(self._docker)

    @property
    def docker(self) -> DockerConfiguration:
        """Whether and how the job runs in Docker; once assigned or changed, it outranks `environment.docker`."""
        return self._docker

    @docker.setter
    def docker(self, value: DockerConfiguration) -> None:
        check_docker(value)
        self._docker, self._derived_docker = value, None

    @property
    def auto_prepare_environment(self) -> bool:
        """v1's older switch: an environment that is missing is always built."""
        return True

    @auto_prepare_environment.setter
    def auto_prepare_environment(self, value: bool) -> None:
        """Taken for the sake of v1's scripts."""

    def derive_docker(self) -> None:
        """Takes over what the environment says about Docker, as long as nobody said it here."""
        if self._derived_docker is not None and self._docker == self._derived_docker:
            section = self.environment.docker
            self._docker = DockerConfiguration(
                use_docker=section.enabled,
                shared_volumes=section.shared_volumes,
                arguments=section.arguments,
                shm_size=section.shm_size,
            )
            self._derived_docker = copy.deepcopy(self._docker)

    def distribute(self, configuration: DistributedConfiguration) -> None:
        """Makes this a run of several processes. Raises RunConfigurationException for any other type."""
        if isinstance(configuration, TensorflowConfiguration):
            self.tensorflow, self.node_count = configuration, configuration.worker_count
            self.framework, self.communicator = "TensorFlow", PARAMETER_SERVER
        elif isinstance(configuration, PyTorchConfiguration):
            self.pytorch, self.node_count = configuration, configuration.node_count
            self.framework, self.communicator = "PyTorch", configuration.communication_backend.lower()
        elif isinstance(configuration, MpiConfiguration):
            self.mpi, self.node_count = configuration, configuration.node_count
            self.framework, self.communicator = "Python", MPI_COMMUNICATORS[0]
        else:
            raise RunConfigurationException(
                "'distributed_job_config' must be an 'azureml.core.runconfig.TensorflowConfiguration', "
                "'azureml.core.runconfig.MpiConfiguration', or 'azureml.core.runconfig.PyTorchConfiguration' object."
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str], name: str | None = None) -> RunConfiguration:
        """Reads the `.runconfig` at `path`, or the one called `name` in that project. Raises UserErrorException."""
        from runner.sdk.runconfig_file import load_into

        run_config = cls()
        load_into(run_config, path, name)
        return run_config

    @staticmethod
    def delete(path: str | os.PathLike[str], name: str) -> None:
        """Removes the run configuration called `name` of a project. Raises UserErrorException where there is none."""
        from runner.sdk.runconfig_file import delete

        delete(path, name)

    def save(
        self,
        path: str | os.PathLike[str] | None = None,
        name: str | None = None,
        separate_environment_yaml: bool = False,
    ) -> None:
        """Writes `.azureml/<name>.runconfig` in the project `path`, by default named after the target."""
        from runner.sdk.runconfig_file import save

        save(self, path, name)

    def __repr__(self) -> str:
        return (
            f"RunConfiguration(script={self.script!r}, arguments={self.arguments!r}, target={self.target!r}, "
            f"framework={self.framework!r}, communicator={self.communicator!r}, node_count={self.node_count!r}, "
            f"environment={self.environment.name!r})"
        )


def check_docker(value: object) -> None:
    """Raises RunConfigurationException unless `value` is a DockerConfiguration."""
    if not isinstance(value, DockerConfiguration):
        raise RunConfigurationException("'docker_runtime_config' must be a 'DockerConfiguration' object.")
