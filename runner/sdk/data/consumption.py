"""DatasetConsumptionConfig: a data set on its way into a run, under a name and in a mode (azureml-v1.md 1.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.sdk.exceptions import UserErrorException

if TYPE_CHECKING:
    from runner.sdk.data.abstract import AbstractDataset

DIRECT, MOUNT, DOWNLOAD, HDFS = "direct", "mount", "download", "hdfs"
_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")


@dataclass(eq=False)
class DatasetConsumptionConfig:
    """What a run is given: as an argument its path, in the script `run.input_datasets[name]`.

    Raises UserErrorException for a name that no environment variable can have.
    """

    name: str
    dataset: AbstractDataset
    mode: str = DIRECT
    path_on_compute: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise UserErrorException(
                f"Invalid name {self.name!r} for a data set: letters, digits and '_', not beginning with a digit."
            )

    def as_mount(self, path_on_compute: str | None = None) -> DatasetConsumptionConfig:
        """To be read as files where they are. Raises UserErrorException for a tabular data set."""
        return self._with(MOUNT, path_on_compute)

    def as_download(self, path_on_compute: str | None = None) -> DatasetConsumptionConfig:
        """To be read as files; nothing is copied where they can be reached as they are."""
        return self._with(DOWNLOAD, path_on_compute)

    def as_hdfs(self) -> Any:
        """Raises UserErrorException: there is no Spark here."""
        raise UserErrorException("as_hdfs is not provided: the runner has no Spark. Use as_mount().")

    def _with(self, mode: str, path_on_compute: str | None) -> DatasetConsumptionConfig:
        if not self.dataset.is_files:
            raise UserErrorException(
                f"A tabular data set cannot be given to a run by {mode}: as_named_input is enough."
            )
        return DatasetConsumptionConfig(self.name, self.dataset, mode, path_on_compute)

    def __str__(self) -> str:
        return f"DatasetConsumptionConfig:{self.name}"
