"""A table written down as a file, once for the workspace, so that a job can read it as files."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

from runner.sdk.data.abstract import _assets
from runner.sdk.data.file_dataset import FileDataset

if TYPE_CHECKING:
    from runner.sdk.data.tabular_dataset import TabularDataset


def written(table: TabularDataset, kind: str, separator: str) -> FileDataset:
    """A data set of the one file; the same definition is written once."""
    downloads = _assets().downloads
    place = downloads / f"{table.id}-{kind}"
    if not place.is_dir():
        unfinished = downloads / f".new-{place.name}-{os.getpid()}"
        unfinished.mkdir(parents=True, mode=0o700)
        try:
            frame = table.to_pandas_dataframe()
            if kind == "csv":
                frame.to_csv(unfinished / "part-00000.csv", index=False, sep=separator)
            else:
                frame.to_parquet(unfinished / "part-00000.parquet", index=False)
            if not place.is_dir():
                os.rename(unfinished, place)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return FileDataset([str(place)])
