"""Workspace: the folder that holds the runs, with the names that v1's workspace has (reference azureml-v1.md 1.9)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import RunnerError
from runner.sdk.exceptions import UserErrorException
from runner.sdk.partial import DEPLOYMENT, Partial
from runner.sdk.workspace_assets import WorkspaceAssets
from runner.store.workspace import WORKSPACE_FOLDER, find_workspace
from sidecar.contract import settings
from sidecar.contract.layout import WorkspaceLayout

if TYPE_CHECKING:
    from runner.sdk.experiment import Experiment
    from runner.sdk.run import Run

_CONFIG_FILE = "config.json"
_CONFIG_FOLDERS = ("", ".azureml", "aml_config")
# There is no subscription; scripts print these, or put them into addresses.
_LOCAL = "local"


class Workspace(WorkspaceAssets, Partial):
    """A workspace on this machine. `path` is its folder, or one that holds `.runner/`; by default the one that every
    command uses here: `$RUNNER_WORKSPACE`, else the nearest `.runner/` above the current folder, else `~/.runner`.

    A `config.json` of Azure ML in or above the folder gives its name, subscription and resource group; so do v1's own
    three arguments, `subscription_id`, `resource_group` and `workspace_name`.
    Raises WorkspaceError where the place is no folder.
    """

    _elsewhere = dict.fromkeys(("webservices", "images"), DEPLOYMENT)

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        resource_group: str | None = None,
        workspace_name: str | None = None,
        auth: object = None,
        *,
        subscription_id: str | None = None,
        **_others: Any,
    ) -> None:
        if workspace_name is not None:  # As v1's: three names, of which the first is the subscription's.
            subscription = subscription_id or (None if path is None else str(path))
            self._open(find_workspace(os.environ, Path.cwd()), None)
            self._config = _names(workspace_name, subscription, resource_group)
            return
        if path is None:
            self._open(find_workspace(os.environ, Path.cwd()), _find_config(Path.cwd()))
            return
        folder = Path(path).expanduser().absolute()
        inner = folder / WORKSPACE_FOLDER
        self._open(find_workspace({settings.WORKSPACE: str(inner if inner.is_dir() else folder)}, folder), None)

    @staticmethod
    def create(
        name: str,
        auth: object = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        location: str | None = None,
        create_resource_group: bool = True,
        sku: str = "basic",
        tags: Mapping[str, str] | None = None,
        exist_ok: bool = False,
        show_output: bool = True,
        **_others: Any,
    ) -> Workspace:
        """The workspace of this machine under that name; nothing is made anywhere else."""
        from runner.store.workspace import create

        workspace = Workspace(
            workspace_name=name, subscription_id=subscription_id, resource_group=resource_group, auth=auth
        )
        create(workspace.layout)
        return workspace

    @staticmethod
    def get(
        name: str,
        auth: object = None,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        location: str | None = None,
        **_others: Any,
    ) -> Workspace:
        """The workspace of this machine under that name."""
        return Workspace(workspace_name=name, subscription_id=subscription_id, resource_group=resource_group, auth=auth)

    @staticmethod
    def list(
        subscription_id: str | None = None, auth: object = None, resource_group: str | None = None
    ) -> dict[str, Any]:
        """The one workspace that there is, by its name."""
        workspace = Workspace.from_config()
        return {workspace.name: [workspace]}

    @staticmethod
    def setup() -> Workspace:
        """The workspace of this machine."""
        return Workspace.from_config()

    @staticmethod
    def from_config(
        path: str | os.PathLike[str] | None = None,
        auth: object = None,
        _logger: object = None,
        _file_name: object = None,
    ) -> Workspace:
        """The workspace for `path`: a folder to start from, or a `config.json`; by default the current folder.

        No config file is needed. Raises UserErrorException where `path` is not there or holds something else.
        """
        start = Path.cwd() if path is None else Path(path).expanduser().absolute()
        if not start.exists():
            raise UserErrorException(f"The workspace configuration file config.json could not be found in {start}.")
        config_file = start if start.is_file() else _find_config(start)
        workspace = Workspace.__new__(Workspace)
        workspace._open(find_workspace(os.environ, start.parent if start.is_file() else start), config_file)
        return workspace

    def _open(self, layout: WorkspaceLayout, config_file: Path | None) -> None:
        self._layout = layout
        self._config = {} if config_file is None else _read_config(config_file)

    @property
    def layout(self) -> WorkspaceLayout:
        """Where everything in the workspace is."""
        return self._layout

    @property
    def name(self) -> str:
        """The name in `config.json`, else that of the folder."""
        root = self._layout.root.absolute()
        return self._config.get("workspace_name") or (root.parent if root.name == WORKSPACE_FOLDER else root).name

    @property
    def subscription_id(self) -> str:
        """The subscription in `config.json`; nothing depends on it."""
        return self._config.get("subscription_id") or _LOCAL

    @property
    def resource_group(self) -> str:
        """The resource group in `config.json`; nothing depends on it."""
        return self._config.get("resource_group") or _LOCAL

    @property
    def location(self) -> str:
        """Where v1's workspace is hosted; this one is here."""
        return _LOCAL

    def get_details(self) -> dict[str, Any]:
        """The workspace's names, and its folder under `id`."""
        return {
            "id": str(self._layout.root.absolute()),
            "name": self.name,
            "location": self.location,
            "subscriptionId": self.subscription_id,
            "resourceGroup": self.resource_group,
        }

    def get_mlflow_tracking_uri(self, with_auth: bool = False) -> str:
        """Where MLflow finds all runs of this workspace: `mlflow.set_tracking_uri(ws.get_mlflow_tracking_uri())`.

        In a job MLflow logs to the job's run without it.
        """
        from runner.interop.mlflow_address import address_of

        return address_of(self._layout.root)

    def get_run(self, run_id: str) -> Run:
        """The run of that id; a unique prefix and `last` do as well. Raises NoSuchRunError."""
        from runner.history.run_record import read_record
        from runner.sdk.experiment import Experiment
        from runner.store.run_lookup import resolve

        record = read_record(self._layout.run(resolve(self._layout, run_id)))
        return Experiment(self, record.experiment_name).run_of(record)

    @property
    def experiments(self) -> Mapping[str, Experiment]:
        """Every experiment that has a run, by name; reads every run's record."""
        from runner.history.run_record import read_record
        from runner.sdk.experiment import Experiment
        from runner.store.run_lookup import list_run_ids

        names = set()
        for run_id in list_run_ids(self._layout):
            try:
                names.add(read_record(self._layout.run(run_id)).experiment_name)
            except RunnerError:
                continue  # removed meanwhile, or not readable: the others can still be listed
        return {name: Experiment(self, name) for name in sorted(names)}

    def write_config(self, path: str | os.PathLike[str] | None = None, file_name: str | None = None) -> None:
        """Writes `.azureml/config.json` below `path`, by default the current folder; `from_config` reads it there."""
        folder = Path.cwd() if path is None else Path(path).expanduser()
        place = folder if folder.name in _CONFIG_FOLDERS[1:] else folder / _CONFIG_FOLDERS[1]
        place.mkdir(parents=True, exist_ok=True)
        names = _names(self.name, self.subscription_id, self.resource_group)
        (place / (file_name or _CONFIG_FILE)).write_text(json.dumps(names, indent=4) + "\n", encoding="utf-8")

    def delete(self, **_others: Any) -> None:
        """Raises UserErrorException: a workspace is a folder with runs in it, which a person removes by hand."""
        raise UserErrorException(f"A workspace is not deleted from a script: remove the folder {self._layout.root}.")

    def __repr__(self) -> str:
        return (
            f"Workspace.create(name={self.name!r}, subscription_id={self.subscription_id!r}, "
            f"resource_group={self.resource_group!r})"
        )


def _names(name: str, subscription_id: str | None, resource_group: str | None) -> dict[str, str]:
    return {
        "subscription_id": subscription_id or _LOCAL,
        "resource_group": resource_group or _LOCAL,
        "workspace_name": name,
    }


def _find_config(start: Path) -> Path | None:
    places = (folder / inner / _CONFIG_FILE for folder in (start, *start.parents) for inner in _CONFIG_FOLDERS)
    return next((place for place in places if _is_config(place)), None)


def _is_config(path: Path) -> bool:
    """Whether a file that was merely found is a workspace's: `config.json` is a common name."""
    try:
        return path.is_file() and "workspace_name" in _read_config(path)
    except (OSError, UserErrorException):
        return False


def _read_config(path: Path) -> dict[str, str]:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserErrorException(f"{path} is not the configuration file of a workspace: {error}", error) from error
    if not isinstance(value, dict):
        raise UserErrorException(f"{path} is not the configuration file of a workspace: it holds no JSON object.")
    return {str(key): str(entry) for key, entry in value.items()}
