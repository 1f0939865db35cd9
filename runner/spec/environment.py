"""What a job runs in: its Python, its packages, its image, its variables (azureml-v1.md 1.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.errors import UsageError
from runner.spec.argument import check_size

DEFAULT_NAME = "default-environment"
DEFAULT_SHM_SIZE = "2g"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """The image a job in Docker runs in: `environment.docker`. At most one of image, Dockerfile and context is given.

    `base_dockerfile` is an absolute path, or the content of a Dockerfile (it has a newline then).
    """

    enabled: bool = False
    base_image: str | None = None
    base_dockerfile: str | None = None
    build_context: str | None = None
    arguments: tuple[str, ...] = ()
    shm_size: str = DEFAULT_SHM_SIZE
    shared_volumes: bool = True

    def __post_init__(self) -> None:
        given = [name for name in ("base_image", "base_dockerfile", "build_context") if getattr(self, name)]
        if len(given) > 1:
            raise UsageError(f"environment.docker: give one of {' and '.join(given)}, not {len(given)}")

    def to_record(self) -> dict[str, Any]:
        """The spec as JSON values."""
        return {
            "enabled": self.enabled,
            "base_image": self.base_image,
            "base_dockerfile": self.base_dockerfile,
            "build_context": self.build_context,
            "arguments": list(self.arguments),
            "shm_size": self.shm_size,
            "shared_volumes": self.shared_volumes,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> ImageSpec:
        """The inverse of `to_record`."""
        return cls(**{**record, "arguments": tuple(record["arguments"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class DockerSpec:
    """How the job's container is started: `docker_runtime_config`."""

    use_docker: bool = False
    arguments: tuple[str, ...] = ()
    shm_size: str = DEFAULT_SHM_SIZE
    shared_volumes: bool = True

    def to_record(self) -> dict[str, Any]:
        """The spec as JSON values."""
        return {
            "use_docker": self.use_docker,
            "arguments": list(self.arguments),
            "shm_size": self.shm_size,
            "shared_volumes": self.shared_volumes,
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> DockerSpec:
        """The inverse of `to_record`."""
        return cls(**{**record, "arguments": tuple(record["arguments"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSpec:
    """The environment of a job. Raises UsageError for variables that no process can be given.

    `interpreter_path` None: the runner's own choice. `pip_requirements`: an absolute path of a requirements file, or
    the requirements themselves. `environment_variables` are given to every process, exactly.
    """

    name: str = DEFAULT_NAME
    user_managed_dependencies: bool = False
    interpreter_path: str | None = None
    pip_requirements: str | tuple[str, ...] | None = None
    conda_dependencies_file: str | None = None
    docker: ImageSpec = field(default_factory=ImageSpec)
    environment_variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.environment_variables.items():
            check_variable(name, value)

    def to_record(self) -> dict[str, Any]:
        """The spec as JSON values."""
        pip = self.pip_requirements
        return {
            "name": self.name,
            "user_managed_dependencies": self.user_managed_dependencies,
            "interpreter_path": self.interpreter_path,
            "pip_requirements": list(pip) if isinstance(pip, tuple) else pip,
            "conda_dependencies_file": self.conda_dependencies_file,
            "docker": self.docker.to_record(),
            "environment_variables": dict(self.environment_variables),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> EnvironmentSpec:
        """The inverse of `to_record`."""
        pip = record["pip_requirements"]
        return cls(
            **{
                **record,
                "pip_requirements": tuple(pip) if isinstance(pip, list) else pip,
                "docker": ImageSpec.from_record(record["docker"]),
                "environment_variables": dict(record["environment_variables"]),
            }
        )


def check_variable(name: object, value: object) -> None:
    """Raises UsageError unless a process can have the environment variable `name` with `value`."""
    if not isinstance(name, str) or not isinstance(value, str):
        raise UsageError(f"environment variable {name!r}: name and value must be text, found {value!r}")
    if not name or "=" in name or "\0" in name:
        raise UsageError(f"{name!r} cannot be the name of an environment variable")
    check_size(f"{name}={value}", f"environment variable {name}")
