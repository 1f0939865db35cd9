"""What a workspace keeps beside its runs: environments, data sets, datastores and models, by name and version.

<workspace>/assets/
  environments/<name>/<version>/     definition.json, as Environment.save_to_directory writes it
  models/<name>/<version>/           model.json, and files/ with what was registered
  datasets/<name>/<version>/         dataset.json
  datastores/<name>.json             a datastore's kind and place
  compute/<name>.json                what a script of v1 said of a compute target that its compute file has no word for
  conda/<hash>.yml                   conda files that scripts made
<workspace>/data/                    the files of the default datastore
<workspace>/downloads/<hash>/        what was fetched from an address, whole or not there
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

from runner.errors import WorkspaceError
from sidecar.contract import publish
from sidecar.contract.layout import WorkspaceLayout

ENVIRONMENTS, MODELS, DATASETS, DATASTORES = "environments", "models", "datasets", "datastores"
_ATTEMPTS = 100  # Two that register at once take turns; fewer could fail where a hundred do.


class AssetsLayout(NamedTuple):
    """The places of a workspace's assets; nothing is created by naming them."""

    root: Path

    @classmethod
    def of(cls, workspace: WorkspaceLayout) -> AssetsLayout:
        """The assets of a workspace."""
        return cls(workspace.root.absolute() / "assets")

    @property
    def data(self) -> Path:
        """The files of the default datastore."""
        return self.root.parent / "data"

    @property
    def downloads(self) -> Path:
        """What was fetched from elsewhere."""
        return self.root.parent / "downloads"

    def name(self, kind: str, name: str) -> Path:
        """The folder of all versions of one asset."""
        return self.root / kind / _file_name(name)

    def version(self, kind: str, name: str, version: int) -> Path:
        """The folder of one version."""
        return self.name(kind, name) / str(version)

    def conda_file(self, sha256: str) -> Path:
        """A conda file by the hash of its content."""
        return self.root / "conda" / f"{sha256[:32]}.yml"

    def note(self, kind: str, name: str) -> Path:
        """What is known of an asset that has no versions: a datastore, a compute target."""
        return self.root / kind / f"{_file_name(name)}.json"


def _file_name(name: str) -> str:
    return quote(name, safe=" ")


def list_names(assets: AssetsLayout, kind: str) -> list[str]:
    """The names of the assets of a kind, sorted."""
    try:
        return sorted(unquote(entry.removesuffix(".json")) for entry in os.listdir(assets.root / kind))
    except FileNotFoundError:
        return []


def list_versions(assets: AssetsLayout, kind: str, name: str) -> list[int]:
    """The versions of an asset that are complete, oldest first."""
    try:
        return sorted(int(entry) for entry in os.listdir(assets.name(kind, name)) if entry.isdigit())
    except FileNotFoundError:
        return []


def add_version(assets: AssetsLayout, kind: str, name: str, fill: Any) -> int:
    """Makes the next version of an asset; `fill(folder)` puts its contents in. It shows whole or not at all.

    Raises WorkspaceError where it cannot be written.
    """
    above = assets.name(kind, name)
    try:
        above.mkdir(parents=True, exist_ok=True, mode=0o700)
        unfinished = above / f".new-{os.getpid()}-{os.urandom(4).hex()}"
        unfinished.mkdir(mode=0o700)
        try:
            fill(unfinished)
            for _ in range(_ATTEMPTS):
                version = max(list_versions(assets, kind, name), default=0) + 1
                with contextlib.suppress(FileExistsError, OSError):
                    if not (above / str(version)).exists():
                        os.rename(unfinished, above / str(version))
                        publish.sync_folder(above)
                        return version
            raise WorkspaceError(f"{above} changes all the time; nothing was registered")
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        raise WorkspaceError(f"cannot write {above}: {error.strerror or error}") from error


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replaces `path` by the object `value`, durably."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    publish.write_whole(path, json.dumps(value, indent=1, ensure_ascii=False).encode("utf-8") + b"\n")


def read_json(path: Path) -> dict[str, Any]:
    """The object in `path`. Raises WorkspaceError where there is none."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise WorkspaceError(f"cannot read {path}: {error}") from error
    if not isinstance(value, dict):
        raise WorkspaceError(f"{path} does not hold a JSON object")
    return value
