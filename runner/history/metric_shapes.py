"""The shapes that `get_metrics` gives (reference azureml-v1.md 2.4), repeated in the in-job code, which ships alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

SCALAR = "scalar"
FILE_KINDS = frozenset({"image", "confusion_matrix", "accuracy_table", "residuals", "predictions"})
COLUMN_KINDS = frozenset({"row", "table"})
METRIC_KINDS = FILE_KINDS | COLUMN_KINDS | {SCALAR, "list"}

_NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def shape(kinds: Sequence[str] | None, values: Sequence[Any], file_value: Callable[[str, str], Any]) -> Any:
    """All that was logged under one name, in order; `kinds` None: scalars only. `file_value` is given kind and name.

    One scalar is itself; several, and lists, are one list; rows and tables are columns; a file is what it is given.
    """
    if kinds is None:
        return values[0] if len(values) == 1 else list(values)
    if COLUMN_KINDS.issuperset(kinds):
        return columns(values)
    flat: list[Any] = []
    for kind, value in zip(kinds, values, strict=True):
        if kind == "list":
            flat.extend(value)
        else:
            flat.append(file_value(kind, value) if kind in FILE_KINDS else value)
    return flat[0] if len(flat) == 1 and "list" not in kinds else flat


def columns(records: Sequence[Any]) -> dict[str, Any]:
    """Each column's cells over all rows and tables; one that lacks a column has None there."""
    found: dict[str, list[Any]] = {}
    count = 0
    for record in records:
        cells = {name: value if isinstance(value, list) else [value] for name, value in record.items()}
        length = max(map(len, cells.values()), default=0)
        for name in cells:
            found.setdefault(name, [None] * count)
        for name, column in found.items():
            column.extend(cells.get(name, [None] * length))
        count += length
    return {name: column[0] if count == 1 else column for name, column in found.items()}


def rows(kinds: Sequence[str] | None, values: Sequence[Any]) -> list[Any]:
    """One entry a scalar, an element of a list, a row of a table (as an object), or a file's name."""
    if kinds is None:
        return list(values)
    flat: list[Any] = []
    for kind, value in zip(kinds, values, strict=True):
        if kind == "list":
            flat.extend(value)
        elif kind in COLUMN_KINDS:
            table = {name: cells if isinstance(cells, list) else [cells] for name, cells in value.items()}
            length = max(map(len, table.values()), default=0)
            flat += [{name: cells[row] for name, cells in table.items() if row < len(cells)} for row in range(length)]
        else:
            flat.append(value)
    return flat


def restored(value: Any, mark: Any) -> Any:
    """A record's `value` as it was logged: what its `f` marks as numbers are numbers again."""
    if mark is None:
        return value
    if isinstance(value, dict) and isinstance(mark, dict):
        return {name: restored(column, mark.get(name)) for name, column in value.items()}
    if isinstance(value, list) and isinstance(mark, list):
        marked = set(mark)
        return [_number(entry) if index in marked else entry for index, entry in enumerate(value)]
    return _number(value)


def _number(text: Any) -> Any:
    return _NUMBERS.get(text, text) if isinstance(text, str) else text
