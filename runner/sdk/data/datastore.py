"""Datastore: a named place for data, a folder of this machine or an address (azureml-v1.md 1.9, 7)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from runner.sdk.data import places
from runner.sdk.data.reference import DataReference
from runner.sdk.exceptions import UserErrorException
from runner.store import assets
from runner.store.assets import DATASTORES, AssetsLayout

if TYPE_CHECKING:
    from runner.sdk.workspace import Workspace

_DEFAULT = "workspaceblobstore"
# v1 makes these with every workspace; here all are folders below the workspace's `data/`.
_BUILT_IN = (_DEFAULT, "workspacefilestore", "workspaceartifactstore", "workspaceworkingdirectory")


class Datastore:
    """The datastore `name` of a workspace. Raises UserErrorException where there is none."""

    def __init__(self, workspace: Workspace, name: str | None = None) -> None:
        self._workspace = workspace
        self._assets = AssetsLayout.of(workspace.layout)
        self._name = name or Datastore.get_default(workspace).name
        self._about = self._read()

    def _read(self) -> dict[str, Any]:
        path = self._assets.note(DATASTORES, self._name)
        if path.exists():
            return assets.read_json(path)
        if self._name in _BUILT_IN:
            folder = self._assets.data if self._name == _DEFAULT else self._assets.data / self._name
            return {"type": "AzureBlob", "root": str(folder)}
        known = ", ".join(sorted(Datastore.list(self._workspace)))
        raise UserErrorException(f"There is no datastore {self._name!r} in the workspace; it has: {known}.")

    @staticmethod
    def get(workspace: Workspace, datastore_name: str) -> Datastore:
        """The datastore of that name. Raises UserErrorException where there is none."""
        return Datastore(workspace, datastore_name)

    @staticmethod
    def get_default(workspace: Workspace) -> Datastore:
        """The datastore that data go to when none is named."""
        path = AssetsLayout.of(workspace.layout).note("settings", "default-datastore")
        return Datastore(workspace, assets.read_json(path)["name"] if path.exists() else _DEFAULT)

    @staticmethod
    def list(workspace: Workspace) -> dict[str, Datastore]:
        """Every datastore of the workspace, by name."""
        own = assets.list_names(AssetsLayout.of(workspace.layout), DATASTORES)
        return {name: Datastore(workspace, name) for name in sorted({*own, *_BUILT_IN})}

    @staticmethod
    def register(workspace: Workspace, datastore_name: str, root: str | os.PathLike[str]) -> Datastore:
        """Keeps a folder of this machine, or an address that fsspec opens, under a name. v1 has no such call."""
        text = os.fspath(root)
        where = text if places.is_url(text) else places.local_path(text)
        return _registered(workspace, datastore_name, {"type": "Folder", "root": where})

    @staticmethod
    def register_azure_blob_container(
        workspace: Workspace,
        datastore_name: str,
        container_name: str,
        account_name: str,
        sas_token: str | None = None,
        account_key: str | None = None,
        protocol: str | None = None,
        endpoint: str | None = None,
        overwrite: bool = False,
        **_others: Any,
    ) -> Datastore:
        """Keeps a container of Azure's under a name; adlfs opens it, with the credentials of the environment.

        Keys are not kept: set AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_TOKEN where it is read.
        """
        return _registered(
            workspace,
            datastore_name,
            {
                "type": "AzureBlob",
                "root": f"abfs://{container_name}@{account_name}.dfs.core.windows.net",
                "account_name": account_name,
                "container_name": container_name,
                "protocol": protocol or "https",
                "endpoint": endpoint or "core.windows.net",
            },
        )

    register_azure_file_share = register_azure_blob_container

    @property
    def name(self) -> str:
        """The datastore's name."""
        return self._name

    @property
    def workspace(self) -> Workspace:
        """The workspace that knows it."""
        return self._workspace

    @property
    def datastore_type(self) -> str:
        """v1's word for its kind."""
        return str(self._about["type"])

    @property
    def root(self) -> str:
        """Its folder, or its address."""
        return str(self._about["root"])

    @property
    def account_name(self) -> str:
        """The account in Azure; the workspace's name where there is none."""
        return str(self._about.get("account_name") or self._workspace.name)

    @property
    def container_name(self) -> str:
        """The container in Azure; its folder where there is none."""
        return str(self._about.get("container_name") or self.root)

    @property
    def is_default(self) -> bool:
        """Whether data go here when no datastore is named."""
        return Datastore.get_default(self._workspace).name == self._name

    def set_as_default(self) -> None:
        """Makes it the default."""
        assets.write_json(self._assets.note("settings", "default-datastore"), {"name": self._name})

    def unregister(self) -> None:
        """Forgets it; its files stay."""
        self._assets.note(DATASTORES, self._name).unlink(missing_ok=True)

    def path(self, path: str | None = None, data_reference_name: str | None = None) -> DataReference:
        """A place in it, to be given to a run."""
        return DataReference(self, data_reference_name, path)

    def as_mount(self) -> DataReference:
        """All of it, to be given to a run."""
        return self.path().as_mount()

    def as_download(self, path_on_compute: str | None = None) -> DataReference:
        """All of it, to be given to a run."""
        return self.path().as_download(path_on_compute)

    def as_upload(self, path_on_compute: str | None = None) -> DataReference:
        """All of it, to be written by a run."""
        return self.path().as_upload(path_on_compute)

    def upload(
        self, src_dir: str, target_path: str | None = None, overwrite: bool = False, show_progress: bool = True
    ) -> DataReference:
        """Copies a folder below `target_path`; files that are there stay unless `overwrite`."""
        files = [os.path.join(folder, name) for folder, _, names in os.walk(src_dir) for name in names]
        return self.upload_files(sorted(files), src_dir, target_path, overwrite, show_progress)

    def upload_files(
        self,
        files: Sequence[str],
        relative_root: str | None = None,
        target_path: str | None = None,
        overwrite: bool = False,
        show_progress: bool = True,
    ) -> DataReference:
        """Copies files below `target_path`, under their names relative to `relative_root`, by default their own names.

        Raises UserErrorException where one is not there.
        """
        for file in files:
            if not os.path.isfile(file):
                raise UserErrorException(f"File not found: {file}")
            name = os.path.relpath(file, relative_root) if relative_root else os.path.basename(file)
            target = places.join(self.root, target_path or "", name)
            if places.is_url(target):
                places.send(file, target, overwrite=overwrite)
            elif overwrite or not os.path.exists(target):
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copyfile(file, target)
        return self.path(target_path)

    def download(
        self,
        target_path: str,
        prefix: str | None = None,
        overwrite: bool = False,
        show_progress: bool = True,
    ) -> int:
        """Copies what begins with `prefix` below `target_path`, names kept; returns how many files."""
        count = 0
        for name, file in places.local_files([self.root], self._assets):
            target = os.path.join(target_path, name)
            if name.startswith((prefix or "").lstrip("/")) and (overwrite or not os.path.exists(target)):
                os.makedirs(os.path.dirname(target) or ".", exist_ok=True)
                shutil.copyfile(file, target)
                count += 1
        return count

    def __repr__(self) -> str:
        return f'{{"name": "{self._name}", "datastore_type": "{self.datastore_type}", "root": "{self.root}"}}'


def _registered(workspace: Workspace, name: str, about: dict[str, Any]) -> Datastore:
    from runner.store.workspace import create

    create(workspace.layout)
    assets.write_json(AssetsLayout.of(workspace.layout).note(DATASTORES, name), about)
    return Datastore(workspace, name)
