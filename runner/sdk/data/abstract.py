"""What file and tabular data sets have in common: sources, a name and version once registered, a way into a run."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from runner.sdk.data import places
from runner.sdk.data.consumption import DatasetConsumptionConfig
from runner.sdk.exceptions import UserErrorException
from runner.store import assets
from runner.store.assets import DATASETS, AssetsLayout

if TYPE_CHECKING:
    from runner.sdk.workspace import Workspace

_RECORD = "dataset.json"
_Self = TypeVar("_Self", bound="AbstractDataset")


class AbstractDataset:
    """Data at some places; nothing is read before somebody asks."""

    is_files = True
    _kind = "File"

    def __init__(self, sources: Sequence[str], about: Mapping[str, Any] | None = None) -> None:
        self._sources = list(sources)
        self._about: dict[str, Any] = dict(about or {})
        self._steps: list[list[Any]] = []
        self.name: str | None = None
        self.version: int | None = None
        self.description: str | None = None
        self.tags: dict[str, str] = {}

    @property
    def id(self) -> str:
        """Tells this definition from every other."""
        return hashlib.sha256(json.dumps(self._definition(), sort_keys=True).encode()).hexdigest()[:32]

    @property
    def sources(self) -> list[str]:
        """The paths and addresses that it is made of."""
        return list(self._sources)

    def as_named_input(self, name: str) -> DatasetConsumptionConfig:
        """The data set under the name by which the script asks for it."""
        return DatasetConsumptionConfig(name, self)

    def register(
        self: _Self,
        workspace: Workspace,
        name: str,
        description: str | None = None,
        tags: Mapping[str, Any] | None = None,
        create_new_version: bool = False,
    ) -> _Self:
        """Keeps its definition under a name; the data stay where they are.

        Raises UserErrorException where the name is taken by another definition, unless a new version may be made.
        """
        from runner.store.workspace import create

        create(workspace.layout)
        layout = AssetsLayout.of(workspace.layout)
        versions = assets.list_versions(layout, DATASETS, name)
        if versions:
            last = from_record(assets.read_json(layout.version(DATASETS, name, versions[-1]) / _RECORD), versions[-1])
            if last.id == self.id and isinstance(last, type(self)):
                return last
            if not create_new_version:
                raise UserErrorException(
                    f'There is already a dataset registered under name "{name}". Specify `create_new_version=True` to '
                    "register the dataset as a new version."
                )
        texts = {str(key): str(value) for key, value in (tags or {}).items()}
        record = {**self._definition(), "name": name, "description": description, "tags": texts}
        version = assets.add_version(layout, DATASETS, name, lambda to: assets.write_json(to / _RECORD, record))
        registered = from_record(record, version)
        assert isinstance(registered, type(self)), "a record gives back the kind that wrote it"
        return registered

    def unregister_all_versions(self) -> None:
        """Raises UserErrorException: definitions are small, and runs refer to them."""
        raise UserErrorException("unregister_all_versions is not provided: registered data sets are kept.")

    def _files(self) -> list[tuple[str, str]]:
        return places.local_files(self._sources, _assets())

    def _copy(self: _Self, step: list[Any] | None = None) -> _Self:
        """The same data, with one more step behind those that there are."""
        changed = copy.copy(self)
        changed.name = changed.version = None
        changed._steps = [*self._steps, *([] if step is None else [step])]
        return changed

    def _definition(self) -> dict[str, Any]:
        return {"kind": self._kind, "sources": self._sources, "about": self._about, "steps": self._steps}

    def __repr__(self) -> str:
        shown = {"source": self._sources, "definition": self._steps}
        if self.name:
            shown["registration"] = {"name": self.name, "version": self.version, "tags": self.tags}
        return f"{type(self).__name__}\n{json.dumps(shown, indent=2)}"


def from_record(record: Mapping[str, Any], version: int | None) -> AbstractDataset:
    """The data set in a record, as an object of its kind."""
    kind = next(each for each in AbstractDataset.__subclasses__() if each._kind == record["kind"])
    dataset = kind(record["sources"], record["about"])
    dataset._steps = [list(step) for step in record["steps"]]
    dataset.name, dataset.version = record.get("name"), version
    dataset.description, dataset.tags = record.get("description"), dict(record.get("tags") or {})
    return dataset


def read_registered(workspace: Workspace, name: str, version: Any) -> AbstractDataset:
    """The data set `name`, in its newest version unless one is given. Raises UserErrorException."""
    layout = AssetsLayout.of(workspace.layout)
    versions = assets.list_versions(layout, DATASETS, name)
    wanted = versions[-1] if versions and version in (None, "latest") else version
    if not versions or str(wanted) not in map(str, versions):
        known = ", ".join(assets.list_names(layout, DATASETS)) or "none"
        raise UserErrorException(f"Cannot find dataset {name} (version {version}) in the workspace; it has: {known}.")
    return from_record(assets.read_json(layout.version(DATASETS, name, int(wanted)) / _RECORD), int(wanted))


def written_once(key: str, name: str, write: Callable[[str], None]) -> str:
    """The path of a file that `write(path)` makes, once for the workspace; it shows whole or not at all."""
    place = _assets().downloads / key
    if not place.is_dir():
        unfinished = place.with_name(f".new-{key}-{os.getpid()}")
        unfinished.mkdir(parents=True, mode=0o700)
        try:
            write(str(unfinished / name))
            if not place.is_dir():
                os.rename(unfinished, place)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return str(place / name)


def _assets() -> AssetsLayout:
    from pathlib import Path

    from runner.store.workspace import find_workspace

    return AssetsLayout.of(find_workspace(os.environ, Path.cwd()))
