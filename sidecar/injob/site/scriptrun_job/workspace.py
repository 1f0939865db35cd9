"""The experiment and the workspace of the run, as far as a job on any node can know them."""

from __future__ import annotations

import os

from scriptrun_job import names
from scriptrun_job.errors import UserErrorException, not_provided
from scriptrun_job.partial import Partial

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from scriptrun_job.job import Job

_ELSEWHERE = "a workspace lies on the submitting machine, and a job may run anywhere; ask for it before you submit"


class Workspace(metaclass=Partial):
    """The workspace that the run belongs to: its names, its tracking URI and its secrets.

    `Workspace.from_config()` inside a job is that workspace too.
    """

    _why = _ELSEWHERE

    def __init__(
        self,
        subscription_id: Optional[str] = None,
        resource_group: Optional[str] = None,
        workspace_name: Optional[str] = None,
        **_others: Any,
    ) -> None:
        self._about = {"name": workspace_name, "subscription_id": subscription_id, "resource_group": resource_group}

    @staticmethod
    def from_config(path: Any = None, auth: Any = None, _logger: Any = None, _file_name: Any = None) -> Workspace:
        """The workspace of the run. Raises UserErrorException outside a job."""
        from scriptrun_job.job import current

        job = current()
        if job is None:
            raise UserErrorException(not_provided("Workspace.from_config", _ELSEWHERE))
        return of_job(job)

    @staticmethod
    def get(name: Any = None, *_arguments: Any, **_named: Any) -> Workspace:
        """The workspace of the run, whatever the name. Raises UserErrorException outside a job."""
        return Workspace.from_config()

    @property
    def name(self) -> str:
        """The workspace's name."""
        return self._text("name")

    @property
    def subscription_id(self) -> str:
        """The subscription in the workspace's `config.json`, if there is one."""
        return self._text("subscription_id")

    @property
    def resource_group(self) -> str:
        """The resource group in the workspace's `config.json`, if there is one."""
        return self._text("resource_group")

    @property
    def location(self) -> str:
        """Where v1's workspace is hosted."""
        return "local"

    def get_details(self) -> Dict[str, Any]:
        """The workspace's names."""
        return {
            "name": self.name,
            "location": self.location,
            "subscriptionId": self.subscription_id,
            "resourceGroup": self.resource_group,
        }

    def get_mlflow_tracking_uri(self, with_auth: bool = False) -> str:
        """What MLflow in this job logs to. Raises UserErrorException where the job has no MLflow."""
        uri = os.environ.get(names.MLFLOW_TRACKING_URI)
        if not uri:
            raise UserErrorException(f"{names.MLFLOW_TRACKING_URI} is not set in this job.")
        return uri

    def get_default_keyvault(self) -> Keyvault:
        """The secrets of the job."""
        return Keyvault()

    def __repr__(self) -> str:
        return (
            f"Workspace.create(name={self.name!r}, subscription_id={self.subscription_id!r}, "
            f"resource_group={self.resource_group!r})"
        )

    def _text(self, key: str) -> str:
        return str(self._about.get(key) or "local")


class Experiment(metaclass=Partial):
    """The experiment that the run belongs to."""

    _why = _ELSEWHERE

    def __init__(self, workspace: Workspace, name: str, **_others: Any) -> None:
        self._workspace = workspace
        self._name = name

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self._name

    @property
    def id(self) -> str:
        """The experiment's id, which is its name here."""
        return self._name

    @property
    def workspace(self) -> Workspace:
        """The workspace that holds the runs."""
        return self._workspace

    @property
    def workspace_object(self) -> Workspace:
        """v1's older word for `workspace`."""
        return self._workspace

    def __repr__(self) -> str:
        return f"Experiment(Name: {self._name},\nWorkspace: {self._workspace.name})"


class Keyvault(metaclass=Partial):
    """Secrets that the job was given, each in an environment variable of its own."""

    _why = _ELSEWHERE

    def get_secret(self, name: str) -> str:
        """The secret called `name`. Raises UserErrorException naming the variable where there is none."""
        variable = names.SECRET_PREFIX + "".join(c if c.isalnum() else "_" for c in name).upper()
        secret = os.environ.get(variable)
        if secret is None:
            raise UserErrorException(f"There is no secret {name!r}: {variable} is not set in this job.")
        return secret

    def get_secrets(self, secrets: Any) -> Dict[str, Optional[str]]:
        """Several secrets by name; None for those that there are not."""
        found: Dict[str, Optional[str]] = {}
        for name in secrets:
            try:
                found[name] = self.get_secret(name)
            except UserErrorException:
                found[name] = None
        return found


def of_job(job: Job) -> Workspace:
    """The workspace that the job's run belongs to."""
    about = job.about.get("workspace")
    found: Dict[str, Any] = about if isinstance(about, dict) else {}
    return Workspace(found.get("subscription_id"), found.get("resource_group"), found.get("name"))
