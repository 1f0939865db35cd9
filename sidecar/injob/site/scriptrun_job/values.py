"""Turns what a script logs into JSON, as azureml-v1.md 2.4 converts it.

JSON has no NaN and no infinities: they are strings, and a mark beside them tells which strings are numbers.
"""

from __future__ import annotations

try:
    from _json import encode_basestring_ascii as _encode
except ImportError:  # Not CPython.
    from json.encoder import encode_basestring_ascii as _encode

from scriptrun_job.errors import UserErrorException

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

encode_text: Callable[[str], str] = _encode
NOT_FINITE = {"inf": '"Infinity"', "-inf": '"-Infinity"', "nan": '"NaN"'}
_NUMBERS = {"Infinity": float("inf"), "-Infinity": float("-inf"), "NaN": float("nan")}
_LARGEST = 2**63 - 1


def to_json(value: Any) -> Tuple[str, bool]:
    """(JSON text, whether it is a marked one) of one value.

    numpy's scalars become Python's; what is no number, text, bool or None becomes its repr(). Raises
    UserErrorException for an integer of more than 64 bits.
    """
    if value is None:
        return "null", False
    if isinstance(value, bool):
        return ("true" if value else "false"), False
    if isinstance(value, str):
        return encode_text(str(value)), False
    plain = _as_python_scalar(value)
    if plain is not value:
        return to_json(plain)
    if isinstance(value, int):
        if not -_LARGEST - 1 <= value <= _LARGEST:
            raise UserErrorException(f"run.log does not support integers of more than 64 bits: {value:#x}")
        return int.__repr__(value), False
    if isinstance(value, float):
        text = float.__repr__(value)
        return (NOT_FINITE[text], True) if text in NOT_FINITE else (text, False)
    return encode_text(repr(value)), False


def list_to_json(values: Sequence[Any]) -> Tuple[str, str]:
    """(JSON list, JSON list of the indices of its marked texts or nothing)."""
    texts: List[str] = []
    marked: List[str] = []
    for index, value in enumerate(values):
        text, is_marked = to_json(value)
        texts.append(text)
        if is_marked:
            marked.append(str(index))
    return f"[{','.join(texts)}]", f"[{','.join(marked)}]" if marked else ""


def columns_to_json(columns: Mapping[Any, Any]) -> Tuple[str, str]:
    """(JSON object, JSON object of the marks of its columns or nothing) of columns that hold one value or a list."""
    texts: List[str] = []
    marks: List[str] = []
    for name, value in columns.items():
        if isinstance(value, list):
            text, mark = list_to_json(value)
        else:
            text, is_marked = to_json(value)
            mark = "1" if is_marked else ""
        texts.append(f"{encode_text(str(name))}:{text}")
        if mark:
            marks.append(f"{encode_text(str(name))}:{mark}")
    return f"{{{','.join(texts)}}}", f"{{{','.join(marks)}}}" if marks else ""


def restored(value: Any, mark: Any) -> Any:
    """A record's `value` as it was logged: what its `f` marks as numbers are numbers again."""
    if mark is None:
        return value
    if isinstance(value, dict) and isinstance(mark, dict):
        columns: Dict[str, Any] = {name: restored(column, mark.get(name)) for name, column in value.items()}
        return columns
    if isinstance(value, list) and isinstance(mark, list):
        marked = set(mark)
        return [_number(entry) if index in marked else entry for index, entry in enumerate(value)]
    return _number(value)


def _number(text: Any) -> Any:
    return _NUMBERS.get(text, text) if isinstance(text, str) else text


def _as_python_scalar(value: Any) -> Any:
    """What `.item()` makes of a numpy scalar, or of an array or tensor of no dimensions; else `value` itself."""
    item = getattr(value, "item", None)
    if item is None or getattr(value, "ndim", None) != 0:
        return value
    try:
        plain = item()
    except Exception:  # Not the `item` that was meant.
        return value
    return plain if isinstance(plain, (bool, int, float, str)) else value
