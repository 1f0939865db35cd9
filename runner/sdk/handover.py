"""From what v1's scripts build to the request that the runner takes: the only place that knows both."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from runner.errors import UsageError
from runner.sdk.distributed import DEFAULT_SHM_SIZE, MPI_COMMUNICATORS, PARAMETER_SERVER
from runner.sdk.environment_handover import Packages, environment_spec, with_variables
from runner.sdk.exceptions import ExperimentExecutionException, RunConfigurationException, UserErrorException
from sidecar.contract.layout import WorkspaceLayout

if TYPE_CHECKING:
    from runner.sdk.conda_dependencies import CondaDependencies
    from runner.sdk.data.job_data import JobData
    from runner.sdk.run_configuration import RunConfiguration
    from runner.sdk.script_run_config import ScriptRunConfig
    from runner.spec.compute import ComputeTarget
    from runner.spec.distributed import DistributedSpec
    from runner.spec.request import RunRequest

_FRAMEWORKS = ("python", "pytorch", "tensorflow", "pyspark", "cntk")
_AS_PLAIN_PYTHON = ("pyspark", "cntk")
# Stands for what a run configuration alone does not know.
_UNNAMED = "unnamed"
_CONDA_FILE = "conda_dependencies.yml"

_logger = logging.getLogger(__name__)

DataFor: TypeAlias = "Callable[[ComputeTarget], JobData]"


def to_request(
    config: ScriptRunConfig, *, experiment_name: str, workspace: WorkspaceLayout, data: DataFor | None = None
) -> RunRequest:
    """The request for a run of `config` as it is now; paths are made absolute, data are put in their places.

    `data` gives what takes data out of arguments, for a target. Raises ExperimentExecutionException,
    RunConfigurationException or UserErrorException, in v1's words where it has some, or UsageError.
    """
    from runner.sdk import packages
    from runner.spec.compute import LocalTarget
    from runner.spec.request import RunRequest
    from runner.spec.script import check_source_directory

    folder = os.path.abspath(os.path.expanduser(config.source_directory))
    check_source_directory(folder)
    target = _target(config.run_config.target, workspace)
    is_here = isinstance(target, LocalTarget)
    config.run_config.derive_docker()
    in_docker = config.run_config.docker.use_docker
    resolve = partial(packages.resolve, workspace=workspace, is_here=is_here, is_in_docker=in_docker)
    arguments, command, surroundings = (
        config.arguments,
        config.command,
        _surroundings(config.run_config, folder, resolve),
    )
    if data is not None:
        taker = data(target)
        arguments, command = _without_data(taker, config)
        surroundings["environment"] = with_variables(surroundings["environment"], taker.variables)
        surroundings["data"] = taker.spec
        surroundings["warnings"] = tuple(dict.fromkeys(taker.warnings))
    return RunRequest(
        experiment_name=experiment_name,
        source_directory=folder,
        script=_script(folder, config.script),
        arguments=_arguments(arguments),
        command=_command(command),
        compute_target=target,
        **surroundings,
    )


def _without_data(taker: JobData, config: ScriptRunConfig) -> tuple[list[Any], Any]:
    """(arguments, command) with paths in the place of data; all that the run configuration names is taken in too."""
    run_config = config.run_config
    for name, reference in (run_config.data_references or {}).items():
        taker.refer(name, reference)
    for value in (*(run_config.data or {}).values(), *(run_config.output_data or {}).values()):
        taker.take(value)
    arguments = [taker.take(value) for value in config.arguments or ()]
    command = config.command if isinstance(config.command, str) else [taker.take(item) for item in config.command or ()]
    expanded = [taker.expand(str(item)) if isinstance(item, str) else item for item in arguments]
    return expanded, taker.expand(_command(command) or "")


def runconfig_values_of(run_config: RunConfiguration, folder: str) -> dict[str, Any]:
    """What a `.runconfig` says for `run_config` in the project `folder`; it need not say what runs.

    A CondaDependencies is written into the project as v1 writes it.
    """
    from runner.spec.places import CONFIG_FOLDERS
    from runner.spec.request import RunRequest
    from runner.spec.runconfig import runconfig_values

    def write(dependencies: CondaDependencies) -> Packages:
        inner = next((name for name in CONFIG_FOLDERS if os.path.isdir(os.path.join(folder, name))), CONFIG_FOLDERS[0])
        return None, os.path.join(folder, dependencies.save_to_file(folder, os.path.join(inner, _CONDA_FILE)))

    surroundings = _surroundings(run_config, folder, write)
    request = RunRequest(experiment_name=_UNNAMED, source_directory=folder, script=_UNNAMED, **surroundings)
    return {
        **runconfig_values(request),
        "script": run_config.script,
        "command": _command(run_config.command) or "",
        "arguments": list(_arguments(run_config.arguments)),
        "target": _target_name(run_config.target),
    }


def _surroundings(
    run_config: RunConfiguration, folder: str, resolve: Callable[[CondaDependencies], Packages]
) -> dict[str, Any]:
    """The fields of a request that follow from the run configuration alone."""
    from runner.spec.environment import DockerSpec

    run_config.derive_docker()
    distributed, docker = _distributed(run_config), run_config.docker
    return {
        "environment": environment_spec(run_config, folder, resolve),
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
        raise UserErrorException(f"arguments[{index}] must be text, a number or a truth value. Found {kind.__name__}.")
    return str(value)


def _target(target: Any, workspace: WorkspaceLayout) -> ComputeTarget:
    from runner.spec.compute_file import read_named_target

    return read_named_target(_target_name(target), workspace.compute)


def _target_name(target: Any) -> str:
    name = target if isinstance(target, str) else getattr(target, "name", None)
    if not isinstance(name, str) or not name:
        raise ExperimentExecutionException("Must specify a target either through run configuration or arguments.")
    return name


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
