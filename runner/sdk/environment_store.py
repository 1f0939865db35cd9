"""Environments kept in a workspace or in a folder: one JSON definition, with what it names of files inside it."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.sdk.conda_dependencies import CondaDependencies
from runner.sdk.environment_sections import (
    RESERVED,
    ContainerRegistry,
    DatabricksSection,
    DockerBuildContext,
    DockerImagePlatform,
    DockerSection,
    PythonSection,
    RSection,
    SparkSection,
)
from runner.sdk.exceptions import UserErrorException
from runner.store import assets
from runner.store.assets import ENVIRONMENTS, AssetsLayout
from sidecar.contract.layout import WorkspaceLayout

if TYPE_CHECKING:
    from runner.sdk.environment import Environment

_DEFINITION, _CONDA, _DOCKERFILE = "azureml_environment.json", "conda_dependencies.yml", "BaseDockerfile"
# What Azure ML's own environments are named after, and what pip calls it.
_CURATED = {
    "sklearn": ("scikit-learn", "numpy", "pandas", "joblib", "matplotlib"),
    "scikit-learn": ("scikit-learn", "numpy", "pandas", "joblib", "matplotlib"),
    "pytorch": ("torch", "torchvision", "numpy", "matplotlib"),
    "tensorflow": ("tensorflow", "numpy", "matplotlib"),
    "lightgbm": ("lightgbm", "scikit-learn", "numpy", "pandas"),
    "xgboost": ("xgboost", "scikit-learn", "numpy", "pandas"),
    "tutorial": ("scikit-learn", "numpy", "pandas", "joblib", "matplotlib"),
    "dask": ("dask[complete]", "numpy", "pandas"),
    "minimal": (),
}
_logger = logging.getLogger(__name__)


def register(environment: Environment, workspace: WorkspaceLayout, kind: type[Environment]) -> Environment:
    """Keeps the definition; the version is set on what is returned. Raises UserErrorException, WorkspaceError."""
    if environment.name.startswith(RESERVED):
        raise UserErrorException(f"{environment.name} is one of Azure ML's own environments: clone it first.")
    layout = AssetsLayout.of(workspace)
    versions = assets.list_versions(layout, ENVIRONMENTS, environment.name)
    value = to_json(environment)
    if versions:
        last = layout.version(ENVIRONMENTS, environment.name, versions[-1])
        if assets.read_json(last / _DEFINITION) == json.loads(json.dumps(value)):
            return _read(last, str(versions[-1]), kind)
    version = assets.add_version(
        layout, ENVIRONMENTS, environment.name, lambda folder: assets.write_json(folder / _DEFINITION, value)
    )
    return _read(layout.version(ENVIRONMENTS, environment.name, version), str(version), kind)


def get(workspace: WorkspaceLayout, name: str, version: str | None, kind: type[Environment]) -> Environment:
    """The environment in its version, by default the newest. Raises UserErrorException naming what there is."""
    layout = AssetsLayout.of(workspace)
    versions = assets.list_versions(layout, ENVIRONMENTS, name)
    if not versions and name.startswith(RESERVED):
        return _curated(name, kind)
    wanted = versions[-1] if versions and version is None else version
    if not versions or str(wanted) not in map(str, versions):
        known = ", ".join(assets.list_names(layout, ENVIRONMENTS)) or "none"
        which = f"{name}, version {version}" if versions else name
        raise UserErrorException(f"There is no registered environment {which}. Registered are: {known}.")
    return _read(layout.version(ENVIRONMENTS, name, int(str(wanted))), str(wanted), kind)


def list_all(workspace: WorkspaceLayout, kind: type[Environment]) -> dict[str, Environment]:
    """The newest version of every registered environment."""
    names = assets.list_names(AssetsLayout.of(workspace), ENVIRONMENTS)
    return {name: get(workspace, name, None, kind) for name in names}


def save_to_directory(environment: Environment, path: str, *, overwrite: bool) -> None:
    """Writes the definition, and beside it conda file and Dockerfile for people. Raises UserErrorException."""
    folder = Path(path)
    if folder.exists() and not overwrite:
        raise UserErrorException(f"{path} exists; overwrite=True replaces what is in it.")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / _DEFINITION).write_text(json.dumps(to_json(environment), indent=4) + "\n", encoding="utf-8")
    conda = environment.python.conda_dependencies
    if conda:
        (folder / _CONDA).write_text(conda.serialize_to_string(), encoding="utf-8")
    dockerfile = environment.docker.base_dockerfile
    if dockerfile:
        text = dockerfile if "\n" in dockerfile else Path(dockerfile).read_text(encoding="utf-8")
        (folder / _DOCKERFILE).write_text(text, encoding="utf-8")


def load_from_directory(path: str, kind: type[Environment]) -> Environment:
    """The environment in the folder; what people changed in its conda file counts. Raises UserErrorException."""
    folder = Path(path)
    if not (folder / _DEFINITION).is_file():
        raise UserErrorException(f"{path} does not contain an environment definition ({_DEFINITION}).")
    environment = _read(folder, None, kind)
    if (folder / _CONDA).is_file():
        environment.python.conda_dependencies = CondaDependencies(str(folder / _CONDA))
    return environment


def to_json(environment: Environment) -> dict[str, Any]:
    """The definition as JSON values; requirements and conda files are taken in, a registry's password is not."""
    python = {**vars(environment.python)}
    conda = python.pop("conda_dependencies")
    file = python.pop("conda_dependencies_file")
    if conda is None and file and os.path.isfile(file):
        conda = CondaDependencies(file)
    requirements = python.pop("pip_requirements")
    if isinstance(requirements, (str, os.PathLike)):
        requirements = Path(requirements).read_text(encoding="utf-8").splitlines()
    docker = dataclasses.asdict(environment.docker)
    docker["base_image_registry"]["password"] = None
    return {
        "name": environment.name,
        "environment_variables": {str(key): str(value) for key, value in environment.environment_variables.items()},
        "python": {
            **python,
            "conda_dependencies": conda.as_dict() if conda else None,
            "pip_requirements": None if requirements is None else list(requirements),
        },
        "docker": docker,
        "spark": dataclasses.asdict(environment.spark),
        "databricks": dataclasses.asdict(environment.databricks),
        "r": None if environment.r is None else dataclasses.asdict(environment.r),
        "inferencing_stack_version": environment.inferencing_stack_version,
    }


def _read(folder: Path, version: str | None, kind: type[Environment]) -> Environment:
    return from_json(assets.read_json(folder / _DEFINITION), version, kind)


def from_json(value: dict[str, Any], version: str | None, kind: type[Environment]) -> Environment:
    """The inverse of `to_json`."""
    environment = kind.__new__(kind)
    environment._fill(value["name"])
    environment.version = version
    environment.environment_variables = value["environment_variables"]
    python, docker = value["python"], value["docker"]
    conda = python.pop("conda_dependencies")
    environment.python = PythonSection(**python, conda_dependencies=CondaDependencies(_underlying_structure=conda))
    registry, platform = docker.pop("base_image_registry"), docker.pop("platform")
    context = docker.pop("build_context")
    environment.docker = DockerSection(
        **docker,
        base_image_registry=ContainerRegistry(**registry),
        platform=DockerImagePlatform(**platform),
        build_context=DockerBuildContext(**context) if isinstance(context, dict) else context,
    )
    environment.spark = SparkSection(**value["spark"])
    environment.databricks = DatabricksSection(**value["databricks"])
    environment.r = None if value["r"] is None else RSection(**value["r"])
    environment.inferencing_stack_version = value["inferencing_stack_version"]
    return environment


def _curated(name: str, kind: type[Environment]) -> Environment:
    """One of Azure ML's own: their images are not here, so pip installs what the name tells of."""
    words = name.lower()
    packages = next((found for word, found in _CURATED.items() if re.search(rf"\b{word}", words)), None)
    if packages is None:
        raise UserErrorException(
            f"{name} is one of Azure ML's own environments, which are not here, and its name does not tell what is in "
            f"it. Make one: Environment.from_pip_requirements(...). Known are names with {', '.join(_CURATED)}."
        )
    environment = kind.__new__(kind)
    environment._fill(name)
    environment.python.conda_dependencies = CondaDependencies.create(pip_packages=packages)
    _logger.warning(
        "%s is one of Azure ML's own environments; in its place pip installs the newest: %s",
        name,
        ", ".join(packages) or "nothing",
    )
    return environment
