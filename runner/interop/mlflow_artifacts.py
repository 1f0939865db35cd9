"""The files of a run for MLflow: what was logged as artifacts, and beside it `outputs/`, `logs/` and the logs.

Only read: a run's files are written by its job.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, NoReturn

from mlflow.entities import FileInfo
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE, RESOURCE_DOES_NOT_EXIST
from mlflow.store.artifact.artifact_repo import ArtifactRepository

from runner.interop.mlflow_address import path_of
from sidecar.contract.layout import ARTIFACTS, AZUREML_LOGS, OUTPUTS, USER_LOGS, WorkspaceLayout, is_run_id

_RUNS = WorkspaceLayout(Path()).runs.name
_BESIDE = (OUTPUTS, USER_LOGS, AZUREML_LOGS)


class RunFiles(ArtifactRepository):  # type: ignore[misc]  # As checked, MLflow has no types.
    """The repository behind the artifact URI of a run, or of a folder in it."""

    def __init__(self, artifact_uri: str, *arguments: Any, **options: Any) -> None:
        super().__init__(artifact_uri, *arguments, **options)
        self._root, self._below = _split(path_of(artifact_uri))

    def list_artifacts(self, path: str | None = None) -> list[Any]:
        """What lies directly in the folder `path`; nothing where it is a file."""
        found: dict[str, Any] = {}
        inner = self._inner(path)
        for place in self._places(inner):
            found = {**_listed(place, path or ""), **found}
        if not inner:
            found = {**{name: FileInfo(name, True, None) for name in _BESIDE if (self._root / name).is_dir()}, **found}
        return [found[name] for name in sorted(found)]

    def _download_file(self, remote_file_path: str, local_path: str) -> None:
        for place in self._places(self._inner(remote_file_path)):
            if place.is_file():
                shutil.copyfile(place, local_path)
                return
        raise MlflowException(f"No such artifact: '{remote_file_path}'", RESOURCE_DOES_NOT_EXIST)

    def log_artifact(self, local_file: str, artifact_path: str | None = None) -> None:
        """Raises MlflowException."""
        _refuse()

    def log_artifacts(self, local_dir: str, artifact_path: str | None = None) -> None:
        """Raises MlflowException."""
        _refuse()

    def _inner(self, path: str | None) -> str:
        """`path` as the run has it, empty for all of it. Raises MlflowException for a path that leaves the run."""
        if os.path.isabs(path or "") or os.pardir in (path or "").split("/"):
            raise MlflowException(f"Invalid artifact path: '{path}'", INVALID_PARAMETER_VALUE)
        inner = os.path.normpath(os.path.join(self._below, path or ""))
        return "" if inner == os.curdir else inner

    def _places(self, inner: str) -> list[Path]:
        """Where a file of that name may lie."""
        is_beside = inner.split(os.sep)[0] in _BESIDE
        return [self._root / ARTIFACTS / inner, *([self._root / inner] if is_beside else [])]


def _split(path: Path) -> tuple[Path, str]:
    """(folder of the run or child run, what comes below its artifacts) of `<run>/artifacts/<below>`."""
    parts = path.parts
    run = max(number for number, part in enumerate(parts) if is_run_id(part) and parts[number - 1] == _RUNS)
    end = parts.index(ARTIFACTS, run)
    return Path(*parts[:end]), os.sep.join(parts[end + 1 :])


def _listed(folder: Path, path: str) -> dict[str, Any]:
    try:
        with os.scandir(folder) as entries:
            return {
                entry.name: FileInfo(
                    f"{path}/{entry.name}" if path else entry.name,
                    entry.is_dir(),
                    None if entry.is_dir() else entry.stat().st_size,
                )
                for entry in entries
            }
    except OSError:  # Not there, or a file.
        return {}


def _refuse() -> NoReturn:
    raise MlflowException("the files of a run are written by its job only", INVALID_PARAMETER_VALUE)
