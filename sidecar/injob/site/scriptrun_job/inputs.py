"""`run.input_datasets` and `run.output_datasets`: where the job's data lie (azureml-v1.md 1.1)."""

from __future__ import annotations

import os

from scriptrun_job import names
from scriptrun_job.errors import UserErrorException

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List

_DIRECT = "direct"


class JobDatasets:
    """A mapping from an input's or output's name to its path; a data set that is read directly is an object."""

    def __init__(self, what: str, places: Dict[str, Any]) -> None:
        self._what = what
        self._places = places

    def __getitem__(self, name: str) -> Any:
        try:
            return self._places[name]
        except KeyError:
            known = ", ".join(sorted(self._places)) or "none"
            raise UserErrorException(f"The job has no {self._what} data set {name!r}; it has: {known}.") from None

    def get(self, name: str, default: Any = None) -> Any:
        """The data set called `name`, else `default`."""
        return self._places.get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def __len__(self) -> int:
        return len(self._places)

    def keys(self) -> List[str]:
        """The names."""
        return list(self._places)

    def values(self) -> List[Any]:
        """The data sets."""
        return list(self._places.values())

    def items(self) -> Any:
        """(name, data set) of each."""
        return self._places.items()


class JobDataset:
    """A data set that the script reads itself: a file, or a folder of files."""

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self._path = path

    def to_path(self) -> List[str]:
        """The paths of its files, each beginning with `/` as v1's do, relative to the data set."""
        return [f"/{os.path.relpath(path, self._folder())}" for path in self._paths()]

    def download(self, target_path: Any = None, overwrite: bool = False, ignore_not_found: bool = False) -> List[str]:
        """Copies its files below `target_path`, without one it gives where they are. Returns their paths."""
        if target_path is None:
            return self._paths()
        import shutil

        copies = []
        for path in self._paths():
            copy = os.path.join(target_path, os.path.relpath(path, self._folder()))
            if os.path.exists(copy) and not overwrite:
                raise UserErrorException(f"{copy} exists; overwrite=True replaces it.")
            os.makedirs(os.path.dirname(copy) or ".", exist_ok=True)
            shutil.copyfile(path, copy)
            copies.append(copy)
        return copies

    def to_pandas_dataframe(self, **_others: Any) -> Any:
        """Its rows as pandas reads them: of CSV, TSV, Parquet and JSON Lines files."""
        import importlib

        pandas: Any = importlib.import_module("pandas")
        readers = {".parquet": pandas.read_parquet, ".jsonl": lambda path: pandas.read_json(path, lines=True)}
        frames = []
        for path in self._paths():
            ending = os.path.splitext(path)[1].lower()
            separator = "\t" if ending == ".tsv" else ","
            frames.append(readers[ending](path) if ending in readers else pandas.read_csv(path, sep=separator))
        return frames[0] if len(frames) == 1 else pandas.concat(frames, ignore_index=True)

    def _folder(self) -> str:
        return self._path if os.path.isdir(self._path) else os.path.dirname(self._path)

    def _paths(self) -> List[str]:
        if not os.path.isdir(self._path):
            return [self._path]
        found = [os.path.join(folder, name) for folder, _, files in os.walk(self._path) for name in files]
        return sorted(found)


def input_datasets() -> JobDatasets:
    """The inputs of the job: `name:mode,...` in the environment, and a variable of each name with its path."""
    places: Dict[str, Any] = {}
    for entry in os.environ.get(names.AZUREML_DATASETS, "").split(","):
        name, _, mode = entry.strip().partition(":")
        path = _path_of(name) if name else ""
        if path:
            places[name] = JobDataset(name, path) if mode.lower() == _DIRECT else path
    return JobDatasets("input", places)


def output_datasets() -> JobDatasets:
    """The outputs of the job: names in the environment, and a variable of each name with its path."""
    listed = os.environ.get(names.AZUREML_DATASET_OUTPUTS, "").split(";")
    places: Dict[str, Any] = {name: _path_of(name) for name in listed if name and _path_of(name)}
    return JobDatasets("output", places)


def _path_of(name: str) -> str:
    variables = (name, name.upper(), f"{names.AZUREML_DATA_REFERENCE_PREFIX}{name}")
    return next((os.environ[variable] for variable in variables if os.environ.get(variable)), "")
