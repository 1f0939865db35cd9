"""DataReference and DataPath: v1's older ways to give a run a place in a datastore."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.sdk.data import places
from sidecar.contract.settings import AZUREML_DATA_REFERENCE_PREFIX

if TYPE_CHECKING:
    from runner.sdk.data.datastore import Datastore


@dataclass
class DataPath:
    """A place in a datastore."""

    datastore: Datastore | None = None
    path_on_datastore: str | None = None
    name: str | None = None

    @property
    def place(self) -> str:
        """Its path or address."""
        assert self.datastore is not None
        return places.join(self.datastore.root, self.path_on_datastore or "")

    def create_data_reference(self, data_reference_name: str | None = None, mode: str = "mount", **_: Any) -> Any:
        """A place to be given to a run."""
        return DataReference(self.datastore, data_reference_name, self.path_on_datastore, mode=mode)


class DataReference:
    """A place in a datastore that a run is given: its text stands for the path, and becomes it when the run starts."""

    def __init__(
        self,
        datastore: Any,
        data_reference_name: str | None = None,
        path_on_datastore: str | None = None,
        mode: str = "mount",
        path_on_compute: str | None = None,
        overwrite: bool = False,
    ) -> None:
        self.datastore = datastore
        self.data_reference_name: str = data_reference_name or datastore.name
        self.path_on_datastore = path_on_datastore
        self.mode = mode
        self.path_on_compute = path_on_compute
        self.overwrite = overwrite

    @property
    def name(self) -> str:
        """The reference's name."""
        return self.data_reference_name

    @property
    def place(self) -> str:
        """Its path or address."""
        return places.join(self.datastore.root, self.path_on_datastore or "")

    def path(self, path: str | None = None, data_reference_name: str | None = None) -> DataReference:
        """A place below it."""
        below = places.join(self.path_on_datastore or "", path or "").lstrip("/")
        return DataReference(self.datastore, data_reference_name, below, self.mode)

    def as_mount(self) -> DataReference:
        """To be read where it is."""
        return self._with("mount", None)

    def as_download(self, path_on_compute: str | None = None, overwrite: bool = False) -> DataReference:
        """To be read; nothing is copied where it can be reached as it is."""
        return self._with("download", path_on_compute)

    def as_upload(self, path_on_compute: str | None = None, overwrite: bool = False) -> DataReference:
        """To be written."""
        return self._with("upload", path_on_compute)

    def _with(self, mode: str, path_on_compute: str | None) -> DataReference:
        changed = copy.copy(self)
        changed.mode, changed.path_on_compute = mode, path_on_compute
        return changed

    def to_config(self) -> DataReference:
        """What `run_config.data_references` holds: the reference itself."""
        return self

    def __str__(self) -> str:
        return f"${AZUREML_DATA_REFERENCE_PREFIX}{self.data_reference_name}"

    def __repr__(self) -> str:
        return f"DataReference({self.data_reference_name}, {self.place}, {self.mode})"
