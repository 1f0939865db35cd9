"""RunConfiguration to and from a `.runconfig` file (reference azureml-v1.md 1.3)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import ConfigError
from runner.sdk.conda_dependencies import CondaDependencies
from runner.sdk.distributed import (
    LOCAL,
    DockerConfiguration,
    MpiConfiguration,
    PyTorchConfiguration,
    TensorflowConfiguration,
)
from runner.sdk.environment import DEFAULT_INTERPRETER, Environment
from runner.sdk.exceptions import UserErrorException

if TYPE_CHECKING:
    from runner.sdk.run_configuration import RunConfiguration
    from runner.spec.distributed import DistributedSpec
    from runner.spec.environment import EnvironmentSpec
    from runner.spec.tree import Value

_FOLDERS = (".azureml", "aml_config")
_SUFFIX = ".runconfig"
# A run configuration need not say what runs; the reader of config files wants to be told.
_NO_COMMAND = "command=':'"
_NOT_OF_A_RUN_CONFIGURATION = ("experimentName", "sourceDirectory", "tags")


def load_into(run_config: RunConfiguration, path: str | os.PathLike[str], name: str | None) -> None:
    """Takes everything from the file `path`, or the one called `name` of that project, with the suffix or without.

    Raises UserErrorException where there is none, or where it cannot be understood.
    """
    from runner.spec.config_file import read_request
    from runner.spec.document import read_document

    file = _find(Path(path).expanduser().absolute(), name)
    try:
        tree = read_document(file)
        says_what = any(_is_said(tree.get(key)) for key in ("script", "command", "ArgumentVector"))
        request = read_request(file, overrides=() if says_what else (_NO_COMMAND,))
    except ConfigError as error:
        raise UserErrorException(str(error), error) from error
    run_config.script, run_config.arguments = request.script, list(request.arguments)
    run_config.command = request.command if says_what else None
    run_config.target = request.compute_target.name
    run_config.max_run_duration_seconds = request.max_run_duration_seconds
    run_config.environment = environment_of(request.environment)
    docker = request.docker
    run_config.docker = DockerConfiguration(
        docker.use_docker, docker.shared_volumes, list(docker.arguments), docker.shm_size
    )
    if request.distributed is not None:
        run_config.distribute(_distributed(request.distributed))
    else:
        run_config.node_count = request.plain_node_count or 1


def save(run_config: RunConfiguration, path: str | os.PathLike[str] | None, name: str | None) -> Path:
    """Writes `.azureml/<name>.runconfig` (or `aml_config/`, where that is) below `path`; returns where.

    Raises UserErrorException for what no run can have, OSError where the file cannot be written.
    """
    import yaml

    from runner.sdk.handover import runconfig_values_of
    from sidecar.contract.publish import write_whole

    project = Path(path or ".").expanduser().absolute()
    folder = next((project / inner for inner in _FOLDERS if (project / inner).is_dir()), project / _FOLDERS[0])
    folder.mkdir(exist_ok=True)
    file_name = name or str(run_config.target or LOCAL)
    file = folder / (file_name if file_name.endswith(_SUFFIX) else file_name + _SUFFIX)
    values = runconfig_values_of(run_config, str(project))
    kept = {key: value for key, value in values.items() if key not in _NOT_OF_A_RUN_CONFIGURATION}
    write_whole(file, yaml.safe_dump(kept, sort_keys=False, allow_unicode=True).encode("utf-8"), mode=0o644)
    return file


def delete(path: str | os.PathLike[str], name: str) -> None:
    """Removes the file of the run configuration. Raises UserErrorException where there is none."""
    _find(Path(path).expanduser().absolute(), name).unlink()


def _find(path: Path, name: str | None) -> Path:
    if name is None:
        if path.is_file():
            return path
        raise UserErrorException(f"There is no run configuration {path}.")
    places = [path / inner / file for inner in (*_FOLDERS, "") for file in (name, name + _SUFFIX)]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise UserErrorException(f"There is no run configuration {name} in {path}.")
    return found


def _is_said(value: Value | None) -> bool:
    from runner.spec.tree import Scalar, is_nothing

    return not is_nothing(value) and not (isinstance(value, Scalar) and not value.text)


def environment_of(spec: EnvironmentSpec) -> Environment:
    """v1's object for an environment that was asked for."""
    environment = Environment(spec.name)
    environment.environment_variables = dict(spec.environment_variables)
    python, image = environment.python, environment.docker
    python.user_managed_dependencies = spec.user_managed_dependencies
    python.interpreter_path = spec.interpreter_path or DEFAULT_INTERPRETER
    python.pip_requirements = spec.pip_requirements
    if spec.conda_dependencies_file is not None and os.path.isfile(spec.conda_dependencies_file):
        python.conda_dependencies = CondaDependencies(spec.conda_dependencies_file)
    image.enabled, image.base_image = spec.docker.enabled, spec.docker.base_image
    image.base_dockerfile, image.build_context = spec.docker.base_dockerfile, spec.docker.build_context
    image.arguments, image.shm_size = list(spec.docker.arguments), spec.docker.shm_size
    image.shared_volumes = spec.docker.shared_volumes
    return environment


def _distributed(spec: DistributedSpec) -> Any:
    from runner.spec.distributed import MpiSpec, PyTorchSpec

    if isinstance(spec, MpiSpec):
        return MpiConfiguration(spec.process_count_per_node, spec.node_count)
    if isinstance(spec, PyTorchSpec):
        return PyTorchConfiguration(spec.communication_backend, spec.process_count, spec.node_count)
    return TensorflowConfiguration(spec.worker_count, spec.parameter_server_count)
