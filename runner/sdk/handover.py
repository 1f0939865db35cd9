"""From what v1's scripts build to the request that the runner takes: the only place that knows both."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runner.errors import UsageError
from runner.sdk.distributed import DEFAULT_SHM_SIZE, MPI_COMMUNICATORS, PARAMETER_SERVER
from runner.sdk.environment import DEFAULT_INTERPRETER, Environment
from runner.sdk.exceptions import ExperimentExecutionException, RunConfigurationException, UserErrorException
from sidecar.contract.layout import WorkspaceLayout

if TYPE_CHECKING:
    from runner.sdk.run_configuration import RunConfiguration
    from runner.sdk.script_run_config import ScriptRunConfig
    from runner.spec.compute import ComputeTarget
    from runner.spec.distributed import DistributedSpec
    from runner.spec.environment import EnvironmentSpec
    from runner.spec.request import RunRequest

_FRAMEWORKS = ("python", "pytorch", "tensorflow", "pyspark", "cntk")
_AS_PLAIN_PYTHON = ("pyspark", "cntk")
# Stands for what a run configuration alone does not know.
_UNNAMED = "unnamed"

_logger = logging.getLogger(__name__)


def to_request(config: ScriptRunConfig, *, experiment_name: str, workspace: WorkspaceLayout) -> RunRequest:
    """The request for a run of `config` as it is now; paths are made absolute.

    Raises ExperimentExecutionException, RunConfigurationException or UserErrorException, in v1's words where it has
    some, or UsageError.
    """
    from runner.spec.request import RunRequest
    from runner.spec.script import check_source_directory

    folder = os.path.abspath(os.path.expanduser(config.source_directory))
    check_source_directory(folder)
    return RunRequest(
        experiment_name=experiment_name,
        source_directory=folder,
        script=_script(folder, config.script),
        arguments=_arguments(config.arguments),
        command=_command(config.command),
        compute_target=_target(config.run_config.target, workspace),
        **_surroundings(config.run_config, folder),
    )


def runconfig_values_of(run_config: RunConfiguration, folder: str) -> dict[str, Any]:
    """What a `.runconfig` says for `run_config` in the project `folder`; it need not say what runs."""
    from runner.spec.request import RunRequest
    from runner.spec.runconfig import runconfig_values

    request = RunRequest(
        experiment_name=_UNNAMED, source_directory=folder, script=_UNNAMED, **_surroundings(run_config, folder)
    )
    return {
        **runconfig_values(request),
        "script": run_config.script,
        "command": _command(run_config.command) or "",
        "arguments": list(_arguments(run_config.arguments)),
        "target": _target_name(run_config.target),
    }


def _surroundings(run_config: RunConfiguration, folder: str) -> dict[str, Any]:
    """The fields of a request that follow from the run configuration alone."""
    from runner.spec.environment import DockerSpec

    run_config.derive_docker()
    distributed, docker = _distributed(run_config), run_config.docker
    return {
        "environment": _environment(run_config, folder),
        "distributed": distributed,
        "plain_node_count": run_config.node_count if distributed is None and run_config.node_count != 1 else None,
        "docker": DockerSpec(
            use_docker=docker.use_docker,
            arguments=tuple(map(str, docker.arguments)),
            shm_size=docker.shm_size or DEFAULT_SHM_SIZE,
            shared_volumes=docker.shared_volumes,
        ),
        "max_run_duration_seconds": run_config.max_run_duration_seconds,
    }


def _script(folder: str, script: str | None) -> str | None:
    from runner.spec.script import resolve_script

    if not script:
        return None
    try:
        return resolve_script(folder, os.fspath(script))
    except UsageError as error:
        raise ExperimentExecutionException(error.message) from error


def _command(command: str | Sequence[str] | None) -> str | None:
    if not command:
        return None
    return command if isinstance(command, str) else " ".join(map(str, command))


def _arguments(values: Sequence[Any] | None) -> tuple[str, ...]:
    return tuple(_argument(value, index) for index, value in enumerate(values or ()))


def _argument(value: Any, index: int) -> str:
    """The text of one argument, as `str` gives it; what has no text of its own, or holds several, is refused."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    kind = type(value)
    methods = {name for base in kind.__mro__[:-1] for name in vars(base)}
    if methods.isdisjoint(("__str__", "__repr__")) or "__len__" in methods:
        raise UserErrorException(
            f"arguments[{index}] must be text, a number or a truth value. Found {kind.__name__}; data sets and their "
            "like cannot be given to a run yet."
        )
    return str(value)


def _target(target: Any, workspace: WorkspaceLayout) -> ComputeTarget:
    from runner.spec.compute_file import read_named_target

    return read_named_target(_target_name(target), workspace.compute)


def _target_name(target: Any) -> str:
    name = target if isinstance(target, str) else getattr(target, "name", None)
    if not isinstance(name, str) or not name:
        raise ExperimentExecutionException("Must specify a target either through run configuration or arguments.")
    return name


def _environment(run_config: RunConfiguration, folder: str) -> EnvironmentSpec:
    from runner.spec.environment import EnvironmentSpec, ImageSpec
    from runner.spec.places import program

    environment = run_config.environment
    if not isinstance(environment, Environment):
        raise UserErrorException(f"'environment' must be an Environment. Found {type(environment).__name__}.")
    python, image = environment.python, environment.docker
    for name in ("conda_dependencies", "base_conda_environment"):
        if getattr(python, name) is not None:
            raise UserErrorException(
                f"environment.python.{name} cannot be used yet: give conda_dependencies_file or pip_requirements."
            )
    if python.pip_requirements and python.conda_dependencies_file:
        raise UserErrorException(
            "environment.python has pip_requirements and conda_dependencies_file; a job has one environment. "
            "Write the pip packages into the conda file."
        )
    interpreter = None if python.interpreter_path == DEFAULT_INTERPRETER else python.interpreter_path
    return EnvironmentSpec(
        name=environment.name,
        user_managed_dependencies=python.user_managed_dependencies,
        interpreter_path=None if interpreter is None else program(interpreter, os.getcwd()),
        pip_requirements=_requirements(python.pip_requirements, folder),
        conda_dependencies_file=_file(python.conda_dependencies_file, folder),
        docker=ImageSpec(
            enabled=image.enabled,
            base_image=image.base_image,
            base_dockerfile=image.base_dockerfile,
            build_context=image.build_context,
            arguments=tuple(map(str, image.arguments)),
            shm_size=image.shm_size or DEFAULT_SHM_SIZE,
            shared_volumes=image.shared_volumes,
        ),
        environment_variables=_texts({**environment.environment_variables, **run_config.environment_variables}),
    )


def _requirements(requirements: str | Sequence[str] | None, folder: str) -> str | tuple[str, ...] | None:
    if requirements is None or isinstance(requirements, (str, os.PathLike)):
        return _file(requirements, folder)
    return tuple(map(str, requirements))


def _file(path: str | None, folder: str) -> str | None:
    """v1 looks for an environment's files in the project folder; a script often names them from where it stands."""
    from runner.spec.places import absolute

    if not path:
        return None
    in_project = absolute(os.fspath(path), folder)
    return in_project if os.path.exists(in_project) else absolute(os.fspath(path), os.getcwd())


def _texts(variables: Mapping[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else str(value) for name, value in variables.items()}


def _distributed(run_config: RunConfiguration) -> DistributedSpec | None:
    """What framework and communicator say, whether a distributed configuration set them or a person did."""
    from runner.spec.distributed import MpiSpec, PyTorchSpec, TensorflowSpec

    _check_framework(str(run_config.framework))
    communicator = str(run_config.communicator or "None").lower()
    if communicator == PARAMETER_SERVER.lower():
        return TensorflowSpec(
            worker_count=run_config.tensorflow.worker_count,
            parameter_server_count=run_config.tensorflow.parameter_server_count,
        )
    if communicator in [known.lower() for known in MPI_COMMUNICATORS]:
        return MpiSpec(
            process_count_per_node=run_config.mpi.process_count_per_node,
            node_count=_node_count(run_config, run_config.mpi.node_count),
        )
    if communicator in ("nccl", "gloo"):
        return PyTorchSpec.of(
            communication_backend=communicator,
            process_count=run_config.pytorch.process_count,
            node_count=_node_count(run_config, run_config.pytorch.node_count),
        )
    if communicator != "none":
        known = ", ".join(("None", PARAMETER_SERVER, *MPI_COMMUNICATORS, "nccl", "gloo"))
        raise RunConfigurationException(f"communicator {run_config.communicator} cannot be run; one of {known} can.")
    return None


def _check_framework(framework: str) -> None:
    if framework.lower() not in _FRAMEWORKS:
        raise RunConfigurationException(f"framework {framework} cannot be run; one of {', '.join(_FRAMEWORKS)} can.")
    if framework.lower() in _AS_PLAIN_PYTHON:
        _logger.warning("framework %s is run as plain Python", framework)


def _node_count(run_config: RunConfiguration, of_configuration: int) -> int:
    """v1 goes by the run configuration's own count; left at its default, it hides none that was set elsewhere."""
    return run_config.node_count if run_config.node_count != 1 else of_configuration
