"""What a job's processes find: interpreter and packages, image, environment variables (reference azureml-v1.md 1.4)."""

from __future__ import annotations

import copy
import os
from typing import TYPE_CHECKING, Any

from runner.sdk.conda_dependencies import CondaDependencies
from runner.sdk.element import Element
from runner.sdk.environment_sections import (
    DEFAULT_INTERPRETER,
    RESERVED,
    ContainerRegistry,
    DatabricksSection,
    DockerBuildContext,
    DockerSection,
    PythonSection,
    RSection,
    SparkSection,
)
from runner.sdk.exceptions import UserErrorException

if TYPE_CHECKING:
    from runner.sdk.image_build import ImageBuildDetails
    from runner.sdk.workspace import Workspace

__all__ = ["DEFAULT_INTERPRETER", "DEFAULT_NAME", "CondaDependencies", "DockerSection", "Environment", "PythonSection"]

DEFAULT_NAME = "default-environment"


class Environment(Element):
    """A named environment. The name does not enter its identity: the same contents are built once.

    Raises UserErrorException for the names of Azure ML's own environments.
    """

    name: str
    version: str | None
    python: PythonSection
    docker: DockerSection
    spark: SparkSection
    databricks: DatabricksSection
    r: RSection | None
    inferencing_stack_version: str | None
    asset_id: str | None
    environment_variables: dict[str, str]

    def __init__(self, name: str = DEFAULT_NAME, **_others: Any) -> None:
        if str(name).startswith(RESERVED):
            raise UserErrorException(
                f"Environment name can not start with the prefix AzureML or Microsoft. Found {name!r}. "
                "To alter a curated environment first create a copy of it."
            )
        self._fill(name)

    def _fill(self, name: str) -> None:
        self.name = name
        self.version = None
        self.python = PythonSection()
        self.docker = DockerSection()
        self.spark = SparkSection()
        self.databricks = DatabricksSection()
        self.r = None
        self.inferencing_stack_version = None
        self.asset_id = None
        self.environment_variables = {}

    # Making one

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
        environment.python.conda_dependencies = CondaDependencies(_existing(file_path))
        return environment

    @staticmethod
    def from_existing_conda_environment(name: str, conda_environment_name: str) -> Environment:
        """An environment with the packages of one of conda's on this machine. Raises UserErrorException for none."""
        from runner.sdk.conda_export import exported

        environment = Environment(name)
        environment.python.conda_dependencies = exported(conda_environment_name)
        return environment

    @staticmethod
    def from_docker_image(
        name: str,
        image: str,
        container_registry: ContainerRegistry | None = None,
        conda_specification: str | None = None,
        pip_requirements: str | None = None,
    ) -> Environment:
        """An environment in an image; without packages the image's own Python is used as it is."""
        environment = Environment(name)
        environment.docker.base_image = image
        if container_registry is not None:
            environment.docker.base_image_registry = container_registry
        return _with_packages(environment, conda_specification, pip_requirements)

    @staticmethod
    def from_dockerfile(
        name: str, dockerfile: str, conda_specification: str | None = None, pip_requirements: str | None = None
    ) -> Environment:
        """An environment in the image of a Dockerfile: its path, or its text."""
        environment = Environment(name)
        environment.docker.base_dockerfile = dockerfile
        return _with_packages(environment, conda_specification, pip_requirements)

    @staticmethod
    def from_docker_build_context(name: str, docker_build_context: DockerBuildContext) -> Environment:
        """An environment in the image of a folder with a Dockerfile."""
        environment = Environment(name)
        environment.docker.build_context = docker_build_context
        environment.python.user_managed_dependencies = True
        return environment

    def clone(self, new_name: str) -> Environment:
        """A copy under another name; raises UserErrorException for the names of Azure ML's own environments."""
        cloned = Environment(new_name)
        for section in ("python", "docker", "spark", "databricks", "r", "environment_variables"):
            setattr(cloned, section, copy.deepcopy(getattr(self, section)))
        cloned.inferencing_stack_version = self.inferencing_stack_version
        return cloned

    # Keeping it

    def register(self, workspace: Workspace) -> Environment:
        """Keeps it in the workspace under its name: the next version, or the last one where nothing changed."""
        from runner.sdk.environment_store import register

        return register(self, workspace.layout, Environment)

    @staticmethod
    def get(workspace: Workspace, name: str, version: str | None = None, label: str | None = None) -> Environment:
        """The registered environment `name`, by default its newest version.

        One of Azure ML's own is answered with the packages that its name tells of. Raises UserErrorException.
        """
        from runner.sdk.environment_store import get

        return get(workspace.layout, str(name), version, Environment)

    @staticmethod
    def list(workspace: Workspace) -> dict[str, Environment]:
        """The newest version of every environment that is registered in the workspace, by name."""
        from runner.sdk.environment_store import list_all

        return list_all(workspace.layout, Environment)

    def save_to_directory(self, path: str, overwrite: bool = False) -> None:
        """Writes the definition into the folder `path`. Raises UserErrorException where that is taken."""
        from runner.sdk.environment_store import save_to_directory

        save_to_directory(self, path, overwrite=overwrite)

    @staticmethod
    def load_from_directory(path: str) -> Environment:
        """The environment that `save_to_directory` wrote. Raises UserErrorException."""
        from runner.sdk.environment_store import load_from_directory

        return load_from_directory(path, Environment)

    # Building it

    def build(self, workspace: Workspace, image_build_compute: Any = None) -> ImageBuildDetails:
        """Has it built on this machine by a run that does nothing else; it is there for the next one then."""
        return workspace.build_environment(self)

    def build_local(self, workspace: Workspace, platform: Any = None, **_others: Any) -> ImageBuildDetails:
        """As `build`, and waits for the end."""
        details = self.build(workspace)
        details.wait_for_completion(show_output=True)
        return details

    def get_image_details(self, workspace: Workspace) -> dict[str, Any]:
        """What there is to know of its image."""
        return {
            "dockerImage": {"name": self.docker.base_image, "dockerfile": self.docker.base_dockerfile},
            "imageExistsInRegistry": False,
            "pythonEnvironment": {"interpreterPath": self.python.interpreter_path},
        }

    def __repr__(self) -> str:
        return f"Environment(Name: {self.name},\nVersion: {self.version})"


def _with_packages(environment: Environment, conda: str | None, pip: str | None) -> Environment:
    if conda and pip:
        raise UserErrorException("Only one of conda_specification and pip_requirements can be given.")
    if conda:
        environment.python.conda_dependencies = CondaDependencies(_existing(conda))
    elif pip:
        environment.python.pip_requirements = _existing(pip)
    else:
        environment.python.user_managed_dependencies = True
    return environment


def _existing(path: str) -> str:
    if not os.path.isfile(path):
        raise UserErrorException(f"File not found: {os.path.abspath(path)}")
    return os.path.abspath(path)
