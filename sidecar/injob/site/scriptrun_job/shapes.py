"""The shapes that `get_metrics` gives (azureml-v1.md 2.4), repeated in runner/history/metric_shapes.py."""

from __future__ import annotations

from scriptrun_job.values import restored

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List

FILE_KINDS = frozenset(("image", "confusion_matrix", "accuracy_table", "residuals", "predictions"))
METRIC_KINDS = FILE_KINDS | frozenset(("scalar", "list", "row", "table"))
_COLUMN_KINDS = frozenset(("row", "table"))


class Shape:
    """All that was logged under one name, in order."""

    def __init__(self) -> None:
        self._kinds: List[str] = []
        self._values: List[Any] = []

    def add(self, kind: str, value: Any, mark: Any) -> None:
        """Takes one record's value; `mark` is its `f`."""
        self._kinds.append(kind)
        self._values.append(restored(value, mark))

    def value(self, file_uri: Callable[[str, str], Any]) -> Any:
        """One scalar is itself; several, and lists, are one list; rows and tables are columns; files are URIs."""
        kinds = set(self._kinds)
        if kinds <= _COLUMN_KINDS:
            return _columns(self._values)
        values: List[Any] = []
        for kind, value in zip(self._kinds, self._values):
            if kind == "list":
                values.extend(value)
            else:
                values.append(file_uri(kind, value) if kind in FILE_KINDS else value)
        return values[0] if len(values) == 1 and "list" not in kinds else values


def _columns(records: List[Any]) -> Dict[str, Any]:
    """Each column's cells over all records; a record that lacks a column has None there."""
    columns: Dict[str, List[Any]] = {}
    count = 0
    for record in records:
        cells = {name: value if isinstance(value, list) else [value] for name, value in record.items()}
        length = max(map(len, cells.values()), default=0)
        for name in cells:
            columns.setdefault(name, [None] * count)
        for name, column in columns.items():
            column.extend(cells.get(name, [None] * length))
        count += length
    return {name: column[0] if count == 1 else column for name, column in columns.items()}
