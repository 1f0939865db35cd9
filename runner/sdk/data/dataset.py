"""Dataset: where data sets are made and found again by name (azureml-v1.md 7)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from runner.sdk.data import places
from runner.sdk.data.abstract import read_registered
from runner.sdk.data.file_dataset import FileDataset
from runner.sdk.data.tabular_dataset import TabularDataset
from runner.sdk.exceptions import UserErrorException
from runner.store import assets
from runner.store.assets import DATASETS, AssetsLayout

if TYPE_CHECKING:
    from runner.sdk.workspace import Workspace


class FileDatasetFactory:
    """Makes data sets of files."""

    @staticmethod
    def from_files(
        path: Any, validate: bool = True, partition_format: str | None = None, is_file: bool = False
    ) -> FileDataset:
        """Of a path, an address, `(datastore, path)`, a DataPath, or a list of them; patterns like `**/*.csv` too.

        Raises UserErrorException where there is nothing at a place of this machine.
        """
        return FileDataset(_sources(path, validate=validate))

    @staticmethod
    def upload_directory(
        src_dir: str, target: Any, pattern: str | None = None, overwrite: bool = False, show_progress: bool = True
    ) -> FileDataset:
        """Copies a folder to `(datastore, path)`; returns the data set of what lies there."""
        datastore, below = target if isinstance(target, tuple) else (target, "")
        datastore.upload(src_dir, below, overwrite=overwrite)
        return FileDataset([places.join(datastore.root, below)])


class TabularDatasetFactory:
    """Makes data sets of rows."""

    @staticmethod
    def from_delimited_files(
        path: Any,
        validate: bool = True,
        include_path: bool = False,
        infer_column_types: bool = True,
        set_column_types: Mapping[str, Any] | None = None,
        separator: str = ",",
        header: Any = True,
        partition_format: str | None = None,
        support_multi_line: bool = False,
        empty_as_string: bool = False,
        encoding: str = "utf8",
    ) -> TabularDataset:
        """Of CSV files and their like; places as for files."""
        kinds = {column: getattr(kind, "kind", "text") for column, kind in (set_column_types or {}).items()}
        about = {
            "format": "delimited",
            "separator": separator,
            "header": header is True or bool(getattr(header, "value", header)),
            "include_path": include_path,
            "infer": infer_column_types,
            "text_columns": sorted(column for column, kind in kinds.items() if kind == "text"),
            "time_columns": sorted(column for column, kind in kinds.items() if kind == "time"),
            "encoding": {"utf8": "utf-8", "iso88591": "iso-8859-1", "latin1": "latin-1"}.get(encoding, encoding),
        }
        return TabularDataset(_sources(path, validate=validate), about)

    @staticmethod
    def from_parquet_files(
        path: Any, validate: bool = True, include_path: bool = False, set_column_types: Any = None, **_others: Any
    ) -> TabularDataset:
        """Of Parquet files."""
        return TabularDataset(_sources(path, validate=validate), {"format": "parquet", "include_path": include_path})

    @staticmethod
    def from_json_lines_files(
        path: Any, validate: bool = True, include_path: bool = False, set_column_types: Any = None, **_others: Any
    ) -> TabularDataset:
        """Of files with one JSON object a line."""
        return TabularDataset(_sources(path, validate=validate), {"format": "json", "include_path": include_path})

    @staticmethod
    def from_sql_query(*_: Any, **__: Any) -> Any:
        """Raises UserErrorException: write the rows to a file and give its path."""
        raise UserErrorException("from_sql_query is not provided: no database is known here. Give a file's path.")

    @staticmethod
    def register_pandas_dataframe(
        dataframe: Any, target: Any, name: str, description: str | None = None, tags: Any = None, **_others: Any
    ) -> TabularDataset:
        """Writes the rows to `(datastore, path)` as a CSV file, and registers them."""
        datastore, below = target if isinstance(target, tuple) else (target, "")
        place = places.join(datastore.root, below, name)
        if places.is_url(place):
            raise UserErrorException("register_pandas_dataframe writes to datastores on this machine only.")
        os.makedirs(place, exist_ok=True)
        dataframe.to_csv(os.path.join(place, f"{name}.csv"), index=False)
        dataset = TabularDatasetFactory.from_delimited_files(os.path.join(place, f"{name}.csv"))
        return dataset.register(datastore.workspace, name, description, tags, create_new_version=True)


class Dataset:
    """Makes and finds data sets."""

    File = FileDatasetFactory
    Tabular = TabularDatasetFactory

    @staticmethod
    def get_by_name(workspace: Workspace, name: str, version: Any = "latest") -> Any:
        """The registered data set of that name. Raises UserErrorException where there is none."""
        return read_registered(workspace, name, version)

    @staticmethod
    def get_by_id(workspace: Workspace, id: str) -> Any:
        """The registered data set of that id. Raises UserErrorException where there is none."""
        layout = AssetsLayout.of(workspace.layout)
        for name in assets.list_names(layout, DATASETS):
            for version in assets.list_versions(layout, DATASETS, name):
                found = read_registered(workspace, name, version)
                if found.id == id:
                    return found
        raise UserErrorException(f"Cannot find a dataset with the id {id} in the workspace.")

    @staticmethod
    def get_all(workspace: Workspace) -> dict[str, Any]:
        """The newest version of every registered data set, by name."""
        names = assets.list_names(AssetsLayout.of(workspace.layout), DATASETS)
        return {name: read_registered(workspace, name, None) for name in names}


def _sources(path: Any, *, validate: bool) -> list[str]:
    found = [_source(one) for one in (path if isinstance(path, list) else [path])]
    for place in found:
        if validate:
            places.check(place)
    return found


def _source(one: Any) -> str:
    if isinstance(one, tuple) and len(one) == 2:
        datastore, below = one
        return places.join(datastore.root, str(below))
    place = getattr(one, "place", None)
    if isinstance(place, str):
        return place
    if not isinstance(one, (str, os.PathLike)):
        raise UserErrorException(
            f"A path, an address, (datastore, path) or a DataPath is needed. Found {type(one).__name__}."
        )
    text = os.fspath(one)
    return text if places.is_url(text) else places.local_path(text)
