"""OutputFileDatasetConfig: a folder that a run writes, and that is a data set afterwards (azureml-v1.md 1.1)."""

from __future__ import annotations

import copy
from typing import Any

from runner.sdk.data import places
from runner.sdk.data.file_dataset import FileDataset
from runner.sdk.exceptions import UserErrorException


class OutputFileDatasetConfig:
    """What the script writes into the folder that it is given lies at `destination`, by default in the workspace's own
    datastore below `dataset/<run id>/<name>`.
    """

    def __init__(
        self,
        name: str | None = None,
        destination: Any = None,
        source: str | None = None,
        partition_format: str | None = None,
        **_others: Any,
    ) -> None:
        import os

        self.name = name or f"output_{os.urandom(4).hex()}"
        self.destination = destination
        self.source = source
        self.mode = "mount"
        self.overwrites = False
        self._registration: tuple[str, str | None, dict[str, str]] | None = None
        self._place: str | None = None

    def as_mount(self, **_others: Any) -> OutputFileDatasetConfig:
        """To be written where it will stay."""
        return self._with(mode="mount")

    def as_upload(self, overwrite: bool = False, source_globs: Any = None, **_others: Any) -> OutputFileDatasetConfig:
        """To be brought to its place once the run has ended: on this machine it is written there at once.

        `overwrite`: replaces what is there already under the same names.
        """
        return self._with(mode="upload", overwrites=overwrite)

    def register_on_complete(
        self, name: str, description: str | None = None, tags: Any = None, **_others: Any
    ) -> OutputFileDatasetConfig:
        """Registers the folder as a data set when the run is submitted; its files are there once the run has ended."""
        return self._with(_registration=(name, description, dict(tags or {})))

    def as_input(self, name: str | None = None) -> Any:
        """The folder of the run that was submitted last with this, as the input of another."""
        if self._place is None:
            raise UserErrorException(f"The output {self.name} was given to no run yet.")
        return FileDataset([self._place]).as_named_input(name or self.name).as_mount()

    def _with(self, **changes: Any) -> OutputFileDatasetConfig:
        changed = copy.copy(self)
        vars(changed).update(changes)
        return changed

    def place_for(self, workspace: Any, run_id: str) -> str:
        """The folder of this machine, or the address, that its files are at once the run has ended."""
        if self.destination is None:
            root, below = workspace.get_default_datastore().root, f"dataset/{run_id}/{self.name}"
        elif isinstance(self.destination, tuple):
            root, below = self.destination[0].root, str(self.destination[1] or "")
        else:
            root, below = getattr(self.destination, "root", self.destination), ""
        place = places.join(root, below.replace("{run-id}", run_id).replace("{output-name}", self.name))
        self._place = place if places.is_url(place) else places.local_path(place)
        return self._place

    @property
    def registration(self) -> tuple[str, str | None, dict[str, str]] | None:
        """(name, description, tags) under which it becomes a data set; None where it does not."""
        return self._registration

    def __str__(self) -> str:
        return f"DatasetOutputConfig:{self.name}"
