"""A table written down as a file, once for the workspace, so that a job can read it as files."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runner.sdk.data.abstract import written_once
from runner.sdk.data.file_dataset import FileDataset

if TYPE_CHECKING:
    from runner.sdk.data.tabular_dataset import TabularDataset


def written(table: TabularDataset, kind: str, separator: str) -> FileDataset:
    """A data set of the one file; the same definition is written once."""

    def write(place: str) -> None:
        frame = table.to_pandas_dataframe()
        if kind == "csv":
            frame.to_csv(place, index=False, sep=separator)
        else:
            frame.to_parquet(place, index=False)

    return FileDataset([os.path.dirname(written_once(f"{table.id}-{kind}", f"part-00000.{kind}", write))])
