"""`Environment` as a job sees it: what its run was submitted with, to look at (azureml-v1.md 1.4)."""

from __future__ import annotations

from scriptrun_job.partial import Partial

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any, Dict


_WHY = "environments are defined on the submitting machine, before a job starts"


class Section(metaclass=Partial):
    """A part of an environment: what the job was told of it."""

    _why = _WHY

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


class Environment(metaclass=Partial):
    """A job's environment: `name`, `python`, `docker`, `environment_variables`. Changing it changes nothing."""

    _why = _WHY

    def __init__(self, name: str, **_others: Any) -> None:
        self.name = name
        self.version = None
        self.python = Section()
        self.docker = Section()
        self.environment_variables: Dict[str, str] = {}

    @staticmethod
    def of_request(record: Dict[str, Any]) -> Environment:
        """The environment in the record of a request; the runner's own choices are left at v1's defaults."""
        environment = Environment(str(record.get("name") or "default-environment"))
        environment.environment_variables = dict(record.get("environment_variables") or {})
        environment.docker = Section(**(record.get("docker") or {}))
        environment.python = Section(
            user_managed_dependencies=bool(record.get("user_managed_dependencies")),
            interpreter_path=record.get("interpreter_path") or "python",
            pip_requirements=record.get("pip_requirements"),
            conda_dependencies_file=record.get("conda_dependencies_file"),
        )
        return environment

    def __repr__(self) -> str:
        return f"Environment(Name: {self.name})"
