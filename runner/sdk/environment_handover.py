"""From v1's Environment to the runner's own description of one."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runner.sdk.distributed import DEFAULT_SHM_SIZE
from runner.sdk.environment import DEFAULT_INTERPRETER, Environment
from runner.sdk.exceptions import UserErrorException

if TYPE_CHECKING:
    from runner.sdk.conda_dependencies import CondaDependencies
    from runner.sdk.environment_sections import DockerSection, PythonSection
    from runner.sdk.run_configuration import RunConfiguration
    from runner.spec.environment import EnvironmentSpec, ImageSpec


# (requirements for pip, conda file): at most one of them, where packages are wanted at all.
Packages = tuple[str | tuple[str, ...] | None, str | None]


def environment_spec(
    run_config: RunConfiguration, folder: str, resolve: Callable[[CondaDependencies], Packages]
) -> EnvironmentSpec:
    """What the job's processes find; files are looked for in the project `folder`. Raises UserErrorException.

    `resolve` says how the packages of a CondaDependencies are installed.
    """
    from runner.spec.environment import EnvironmentSpec
    from runner.spec.places import program

    environment = run_config.environment
    if not isinstance(environment, Environment):
        raise UserErrorException(f"'environment' must be an Environment. Found {type(environment).__name__}.")
    python = environment.python
    if python.pip_requirements and (python.conda_dependencies_file or python.conda_dependencies):
        raise UserErrorException(
            "environment.python has pip_requirements and conda_dependencies_file; a job has one environment. "
            "Write the pip packages into the conda file."
        )
    requirements, conda_file = _packages(python, folder, resolve)
    interpreter = None if python.interpreter_path == DEFAULT_INTERPRETER else python.interpreter_path
    return EnvironmentSpec(
        name=environment.name,
        user_managed_dependencies=python.user_managed_dependencies,
        interpreter_path=None if interpreter is None else program(interpreter, os.getcwd()),
        pip_requirements=requirements,
        conda_dependencies_file=conda_file,
        docker=_image(environment.docker),
        environment_variables=_texts({**environment.environment_variables, **run_config.environment_variables}),
    )


def with_variables(spec: EnvironmentSpec, variables: Mapping[str, str]) -> EnvironmentSpec:
    """The environment with further variables, which win."""
    from dataclasses import replace

    return replace(spec, environment_variables={**spec.environment_variables, **variables})


def _packages(python: PythonSection, folder: str, resolve: Callable[[CondaDependencies], Packages]) -> Packages:
    dependencies = python.conda_dependencies
    if not dependencies and python.base_conda_environment is not None and not python.user_managed_dependencies:
        from runner.sdk.conda_export import exported

        dependencies = exported(python.base_conda_environment)
    if not dependencies or python.user_managed_dependencies:
        return _requirements(python.pip_requirements, folder), _file(python.conda_dependencies_file, folder)
    return resolve(dependencies)


def _image(image: DockerSection) -> ImageSpec:
    from runner.spec.environment import ImageSpec

    context = image.build_context
    return ImageSpec(
        enabled=image.enabled,
        base_image=image.base_image,
        base_dockerfile=image.base_dockerfile,
        build_context=getattr(context, "location", context),
        arguments=tuple(map(str, image.arguments)),
        shm_size=image.shm_size or DEFAULT_SHM_SIZE,
        shared_volumes=image.shared_volumes,
    )


def _requirements(requirements: str | Sequence[str] | None, folder: str) -> str | tuple[str, ...] | None:
    from runner.sdk.packages import without_azureml

    if requirements is None or isinstance(requirements, (str, os.PathLike)):
        return _file(requirements, folder)
    return tuple(without_azureml([*map(str, requirements)]))


def _file(path: str | None, folder: str) -> str | None:
    """v1 looks for an environment's files in the project folder; a script often names them from where it stands."""
    from runner.spec.places import absolute

    if not path:
        return None
    in_project = absolute(os.fspath(path), folder)
    return in_project if os.path.exists(in_project) else absolute(os.fspath(path), os.getcwd())


def _texts(variables: Mapping[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else str(value) for name, value in variables.items()}
