"""The calls that log metrics (azureml-v1.md 2.4): each is on disk when it returns."""

from __future__ import annotations

import types

from scriptrun_job.errors import AzureMLException, UserErrorException
from scriptrun_job.run_base import RunBase
from scriptrun_job.values import columns_to_json, encode_text, list_to_json

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any, Dict, List, Optional

_NO_SCALARS = (list, tuple, range, types.GeneratorType)
_LIST_LIKE = (list, tuple, range)


class MetricLog(RunBase):
    """What a run logs goes to the journal of its process."""

    def log(self, name: str, value: Any, description: str = "", step: Optional[int] = None) -> None:
        """Logs one number, text, bool or None under `name`; the same name again makes a list.

        Raises UserErrorException for lists and their like, and for integers of more than 64 bits.
        """
        if isinstance(value, _NO_SCALARS):
            raise UserErrorException(f"run.log does not support {type(value).__name__} type. Use run.log_list instead")
        more = self._mark
        if description:
            more += f',"d":{encode_text(str(description))}'
        self._journal.scalar(name, value, step, more)

    def log_list(self, name: str, value: Any, description: str = "") -> None:
        """Logs some values at once; a generator does as well, and an empty list says nothing.

        Raises TypeError for what cannot be walked through, AzureMLException for a list in it.
        """
        values = _as_list(value)
        if values:
            self._append("list", name, *list_to_json(values), description)

    def log_row(self, name: str, description: Optional[str] = None, **kwargs: Any) -> None:
        """Logs one row of a table, a column a keyword; the same name again adds a row.

        Raises AzureMLException for a list as a value.
        """
        for column, value in kwargs.items():
            if isinstance(value, (list, tuple)):
                raise AzureMLException(f"Rows cannot contain list values, column {column} contains a list.")
        if kwargs:
            self._append("row", name, *columns_to_json(kwargs), description)

    def log_table(self, name: str, value: Dict[str, Any], description: str = "") -> None:
        """Logs a table: a list a column, or one value a column. Raises AzureMLException where lengths differ."""
        if not isinstance(value, dict):
            raise AzureMLException("Argument [Table] is of invalid type. Expected type: [dict[string]: column]")
        columns = {column: _as_column(cells) for column, cells in value.items()}
        first: Optional[str] = None
        for column, cells in columns.items():
            length = len(cells) if isinstance(cells, list) else 1
            if first is None:
                first, expected = column, length
            elif length != expected:
                raise AzureMLException(
                    f"Columns must have the same length, column {first} had length {expected}, "
                    f"however, column {column} had length {length}."
                )
        if columns:
            self._append("table", name, *columns_to_json(columns), description)

    def log_image(self, name: str, path: Optional[str] = None, plot: Any = None, description: str = "") -> None:
        """Logs a picture: a file, or a figure, or the module `matplotlib.pyplot` with its current one.

        Raises AzureMLException unless there is exactly one of them.
        """
        if path is None and plot is None:
            raise AzureMLException("Invalid parameters, one of path and plot is required as input")
        if path is not None and plot is not None:
            raise AzureMLException(
                "Invalid parameters, path and plot were both provided, only one at a time is supported"
            )
        from scriptrun_job import pictures

        self._log_file("image", name, *pictures.file_and_source(name, path, plot), description)

    def log_confusion_matrix(self, name: str, value: Any, description: str = "") -> None:
        """Logs a confusion matrix: JSON text, or an object with `schema_type`, `schema_version` and `data`."""
        self._log_json("confusion_matrix", name, value, description)

    def log_accuracy_table(self, name: str, value: Any, description: str = "") -> None:
        """Logs an accuracy table: JSON text, or an object with `schema_type`, `schema_version` and `data`."""
        self._log_json("accuracy_table", name, value, description)

    def log_residuals(self, name: str, value: Any, description: str = "") -> None:
        """Logs residuals: JSON text, or an object with `schema_type`, `schema_version` and `data`."""
        self._log_json("residuals", name, value, description)

    def log_predictions(self, name: str, value: Any, description: str = "") -> None:
        """Logs predictions: JSON text, or an object with `schema_type`, `schema_version` and `data`."""
        self._log_json("predictions", name, value, description)

    def _log_json(self, kind: str, name: str, value: Any, description: str) -> None:
        import io
        import json

        if isinstance(value, str):
            try:
                json.loads(value)
            except ValueError:
                raise UserErrorException("Invalid JSON provided") from None
            text = value
        else:
            text = json.dumps(value)
        self._log_file(kind, name, str(name), io.StringIO(text), description)

    def _log_file(self, kind: str, name: str, file_name: str, source: Any, description: str) -> None:
        """A metric that is a file; where the disk is full it is lost as any other, with one warning."""
        try:
            kept = self._files.add_unique(file_name, source)
        except OSError as error:
            self._journal.lose(error.strerror or str(error))
            return
        self._append(kind, name, encode_text(kept), "", description)

    def _append(self, kind: str, name: str, value: str, mark: str, description: Optional[str]) -> None:
        body = f'"name":{encode_text(str(name))},"value":{value}{self._mark}'
        if mark:
            body += f',"f":{mark}'
        if description:
            body += f',"d":{encode_text(str(description))}'
        self._journal.append_texts([(kind, body)])


def _as_list(value: Any) -> List[Any]:
    values = value.tolist() if hasattr(value, "tolist") and getattr(value, "ndim", 0) == 1 else list(value)
    for entry in values:
        if isinstance(entry, _LIST_LIKE):
            raise AzureMLException(
                f"Value of type {type(entry)} is not supported, supported types include "
                f"{[float, str, bool, type(None), int]}"
            )
    return values


def _as_column(cells: Any) -> Any:
    is_many = isinstance(cells, _NO_SCALARS) or getattr(cells, "ndim", 0) == 1
    return _as_list(cells) if is_many else cells
