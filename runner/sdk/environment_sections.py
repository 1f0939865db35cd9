"""The parts of an Environment: Python, Docker, and those for services that are not here (azureml-v1.md 1.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.sdk.conda_dependencies import CondaDependencies
from runner.sdk.distributed import DEFAULT_SHM_SIZE
from runner.sdk.element import Element

# How the names of Azure ML's own environments begin.
RESERVED = ("AzureML-", "Microsoft")
# What v1 writes where nobody chose an interpreter.
DEFAULT_INTERPRETER = "python"
# v1's default image; nothing is pulled unless a run asks for Docker.
DEFAULT_CPU_IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04:20251130.v1"
DEFAULT_GPU_IMAGE = "mcr.microsoft.com/azureml/openmpi4.1.0-cuda11.8-cudnn8-ubuntu22.04:20251130.v1"


@dataclass
class PythonSection(Element):
    """The interpreter, and what is installed for it.

    `pip_requirements`, which v1 does not have, is the path of a requirements file or a list of its lines.
    `conda_dependencies_file` asks for conda; of `conda_dependencies` pip installs what it can where there is no conda.
    """

    interpreter_path: str | None = DEFAULT_INTERPRETER
    user_managed_dependencies: bool = False
    conda_dependencies: Any = field(default_factory=CondaDependencies)
    conda_dependencies_file: str | None = None
    base_conda_environment: str | None = None
    pip_requirements: str | Sequence[str] | None = None


@dataclass
class ContainerRegistry(Element):
    """Where an image comes from, and who asks for it."""

    address: str | None = None
    username: str | None = None
    password: str | None = None
    registry_identity: Any = None


@dataclass
class DockerImagePlatform(Element):
    """What an image is made for."""

    os: str = "Linux"
    architecture: str = "amd64"


@dataclass
class DockerBuildContext(Element):
    """A folder with a Dockerfile, on this machine."""

    location: str | None = None
    dockerfile_path: str = "Dockerfile"

    @classmethod
    def from_local_directory(cls, workspace: Any, path: str, dockerfile_path: str = "Dockerfile") -> DockerBuildContext:
        """The context in the folder `path`."""
        return cls(path, dockerfile_path)


@dataclass
class DockerSection(Element):
    """The image of the job. `enabled` is v1's older way to say DockerConfiguration(use_docker=True)."""

    enabled: bool = False
    base_image: str | None = None
    base_dockerfile: str | None = None
    build_context: Any = None
    shared_volumes: bool = True
    arguments: Sequence[str] = field(default_factory=list)
    shm_size: str | None = DEFAULT_SHM_SIZE
    base_image_registry: ContainerRegistry = field(default_factory=ContainerRegistry)
    platform: DockerImagePlatform = field(default_factory=DockerImagePlatform)
    gpu_support: bool | None = None


@dataclass
class SparkPackage(Element):
    """A package for Spark."""

    group: str | None = None
    artifact: str | None = None
    version: str | None = None


@dataclass
class SparkSection(Element):
    """What v1 says to a Spark cluster. There is none here, so nothing is read from it."""

    repositories: list[str] = field(default_factory=list)
    packages: list[Any] = field(default_factory=list)
    precache_packages: bool = True


@dataclass
class RSection(Element):
    """What v1 says about R. Nothing is read from it."""

    r_version: str | None = None
    user_managed: bool = False
    rscript_path: str | None = None
    snapshot_date: str | None = None
    cran_packages: list[Any] = field(default_factory=list)
    github_packages: list[Any] = field(default_factory=list)
    custom_url_packages: list[Any] = field(default_factory=list)
    bioconductor_packages: list[Any] = field(default_factory=list)


@dataclass
class DatabricksSection(Element):
    """What v1 says to Databricks. Nothing is read from it."""

    maven_libraries: list[Any] = field(default_factory=list)
    pypi_libraries: list[Any] = field(default_factory=list)
    rcran_libraries: list[Any] = field(default_factory=list)
    jar_libraries: list[Any] = field(default_factory=list)
    egg_libraries: list[Any] = field(default_factory=list)
    cluster: Any = None
