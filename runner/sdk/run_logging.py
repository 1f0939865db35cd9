"""Logging to a run from the submitting side, by the very code that does it inside a job (azureml-v1.md 2.4, 2.5)."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runner.sdk import exceptions
from sidecar.contract.layout import RunLayout

# Every program outside the job writes a file of its own: a job's file may be on its way here from a node.
_PROCESS = "client"
_voices: dict[str, Any] = {}


class RunLogging:
    """The calls that log values and keep files; what they wrote is on disk when they return."""

    _layout: RunLayout
    _run_id: str

    def log(self, name: str, value: Any, description: str = "", step: int | None = None) -> None:
        """Logs one number, text, bool or None under `name`; the same name again makes a list.

        Raises UserErrorException for lists and their like.
        """
        self._say("log", name, value, description, step)

    def log_list(self, name: str, value: Any, description: str = "") -> None:
        """Logs some values at once; a generator does as well, and an empty list says nothing."""
        self._say("log_list", name, value, description)

    def log_row(self, name: str, description: str | None = None, **kwargs: Any) -> None:
        """Logs one row of a table, a column a keyword; the same name again adds a row."""
        self._say("log_row", name, description, **kwargs)

    def log_table(self, name: str, value: Mapping[str, Any], description: str = "") -> None:
        """Logs a table: a list a column, or one value a column."""
        self._say("log_table", name, value, description)

    def log_image(self, name: str, path: str | None = None, plot: Any = None, description: str = "") -> None:
        """Logs a picture: a file, or a figure, or the module `matplotlib.pyplot` with its current one."""
        self._say("log_image", name, path, plot, description)

    def log_confusion_matrix(self, name: str, value: Any, description: str = "") -> None:
        """Logs a confusion matrix: JSON text, or an object with `schema_type`, `schema_version` and `data`."""
        self._say("log_confusion_matrix", name, value, description)

    def log_accuracy_table(self, name: str, value: Any, description: str = "") -> None:
        """Logs an accuracy table: JSON text, or an object with `schema_type`, `schema_version` and `data`."""
        self._say("log_accuracy_table", name, value, description)

    def log_residuals(self, name: str, value: Any, description: str = "") -> None:
        """Logs residuals: JSON text, or an object with `schema_type`, `schema_version` and `data`."""
        self._say("log_residuals", name, value, description)

    def log_predictions(self, name: str, value: Any, description: str = "") -> None:
        """Logs predictions: JSON text, or an object with `schema_type`, `schema_version` and `data`."""
        self._say("log_predictions", name, value, description)

    def upload_file(self, name: str, path_or_stream: Any, datastore_name: str | None = None) -> None:
        """Keeps a copy of a file or stream under `name` in the run; raises UserErrorException where it has one."""
        self._say("upload_file", name, path_or_stream)

    def upload_files(
        self,
        names: Sequence[str],
        paths: Sequence[Any],
        return_artifacts: bool = False,
        timeout_seconds: int | None = None,
        datastore_name: str | None = None,
    ) -> None:
        """Keeps copies of several files. Raises TypeError where there are not as many names as paths."""
        self._say("upload_files", names, paths)

    def upload_folder(self, name: str, path: str, datastore_name: str | None = None) -> None:
        """Keeps copies of everything below the folder `path` under `name/`."""
        self._say("upload_folder", name, path)

    def flush(self, timeout_seconds: int = 300) -> None:
        """Returns at once: whatever was logged is on disk already."""

    def clean(self) -> None:
        """Does nothing: no temporary folder is left by a run."""

    def _say(self, method: str, *arguments: Any, **keywords: Any) -> None:
        voice = _voice(self._layout, self._run_id)
        errors = importlib.import_module("scriptrun_job.errors")
        try:
            getattr(voice, method)(*arguments, **keywords)
        except errors.AzureMLException as error:
            kind: Callable[..., Exception] = getattr(exceptions, type(error).__name__, exceptions.UserErrorException)
            raise kind(error.message) from error


class _Teller:
    """What the in-job code asks of a job, for a program outside one."""

    def __init__(self, layout: RunLayout, run_id: str, journal: Any) -> None:
        self.run_id = run_id
        self.journal = journal
        self.root = str(layout.root.absolute())
        self.about: dict[str, Any] = {}


def _voice(layout: RunLayout, run_id: str) -> Any:
    path = str(layout.process_metrics(_PROCESS).absolute())
    if path not in _voices:
        from runner.sdk.run_context import find_package

        find_package()
        parts = [importlib.import_module(f"scriptrun_job.{name}") for name in ("metric_log", "run_files", "journal")]
        kind: Any = type("Voice", (parts[0].MetricLog, parts[1].RunFiles), {})
        os.makedirs(os.path.dirname(path), exist_ok=True)
        voice = kind()
        voice._attach(_Teller(layout, run_id, parts[2].Journal(path)), None)
        _voices.setdefault(path, voice)
    return _voices[path]
