"""What a job's processes find: interpreter and packages, image, environment variables (reference azureml-v1.md 1.4)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from runner.sdk.distributed import DEFAULT_SHM_SIZE
from runner.sdk.element import Element
from runner.sdk.exceptions import UserErrorException

DEFAULT_NAME = "default-environment"
# What v1 writes where nobody chose an interpreter.
DEFAULT_INTERPRETER = "python"
_RESERVED = ("AzureML-", "Microsoft")


@dataclass
class PythonSection(Element):
    """The interpreter, and what is installed for it.

    `pip_requirements`, which v1 does not have, is the path of a requirements file or a list of its lines.
    """

    interpreter_path: str | None = DEFAULT_INTERPRETER
    user_managed_dependencies: bool = False
    conda_dependencies: Any = None
    conda_dependencies_file: str | None = None
    base_conda_environment: str | None = None
    pip_requirements: str | Sequence[str] | None = None


@dataclass
class DockerSection(Element):
    """The image of the job. `enabled` is v1's older way to say DockerConfiguration(use_docker=True)."""

    enabled: bool = False
    base_image: str | None = None
    base_dockerfile: str | None = None
    build_context: str | None = None
    shared_volumes: bool = True
    arguments: Sequence[str] = field(default_factory=list)
    shm_size: str | None = DEFAULT_SHM_SIZE


class Environment(Element):
    """A named environment. The name does not enter its identity: the same contents are built once."""

    name: str
    version: str | None
    python: PythonSection
    docker: DockerSection
    environment_variables: dict[str, str]

    def __init__(self, name: str = DEFAULT_NAME) -> None:
        if str(name).startswith(_RESERVED):
            raise UserErrorException(
                f"Environment name can not start with the prefix AzureML or Microsoft. Found {name!r}. "
                "To alter a curated environment first create a copy of it."
            )
        self.name = name
        self.version = None
        self.python = PythonSection()
        self.docker = DockerSection()
        self.environment_variables = {}

    @staticmethod
    def from_pip_requirements(name: str, file_path: str, pip_version: str | None = None) -> Environment:
        """An environment with the packages of a requirements file; raises UserErrorException where there is none.

        `pip_version` is taken for the sake of v1's scripts; the newest pip is used.
        """
        environment = Environment(name)
        environment.python.pip_requirements = _existing(file_path)
        return environment

    @staticmethod
    def from_conda_specification(name: str, file_path: str) -> Environment:
        """An environment as a conda file describes it; raises UserErrorException where there is no such file."""
        environment = Environment(name)
        environment.python.conda_dependencies_file = _existing(file_path)
        return environment

    def __repr__(self) -> str:
        return f"Environment(Name: {self.name},\nVersion: {self.version})"


def _existing(path: str) -> str:
    if not os.path.isfile(path):
        raise UserErrorException(f"File not found: {os.path.abspath(path)}")
    return os.path.abspath(path)
