"""Reference azureml-v1.md 2.4: what each call stores, refuses, and gives back."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

NAN, INF = math.nan, math.inf
MATRIX = {"schema_type": "confusion_matrix", "schema_version": "1.0.0", "data": {"matrix": [[1, 0], [0, 1]]}}


class Figure:
    """Saves itself as matplotlib's figures and its module `pyplot` do."""

    def savefig(self, stream: Any, format: str) -> None:
        """Writes a picture."""
        stream.write(b"picture")


class Scalar:
    """A numpy scalar, as far as the API looks at it."""

    ndim = 0

    def __init__(self, value: Any) -> None:
        self._value = value

    def item(self) -> Any:
        """The Python value."""
        return self._value


class Array(list[Any]):
    """A numpy array of one dimension, as far as the API looks at it."""

    ndim = 1

    def tolist(self) -> list[Any]:
        """Python values."""
        return list(self)


SHAPES = [
    ("one scalar", [("log", "a", 1.5)], 1.5),
    ("repeated scalar", [("log", "a", 1), ("log", "a", 2)], [1, 2]),
    ("text", [("log", "a", "ä")], "ä"),
    ("bool", [("log", "a", True)], True),
    ("None", [("log", "a", None)], None),
    ("64 bits", [("log", "a", 2**63 - 1), ("log", "a", -(2**63))], [2**63 - 1, -(2**63)]),
    ("infinities", [("log", "a", INF), ("log", "a", -INF)], [INF, -INF]),
    ("numpy scalar", [("log", "a", Scalar(2.5))], 2.5),
    ("anything else", [("log", "a", 1 + 2j)], "(1+2j)"),
    ("list", [("log_list", "a", [1, "x", True, None])], [1, "x", True, None]),
    ("list of one", [("log_list", "a", [5])], [5]),
    ("generator", [("log_list", "a", (n for n in range(3)))], [0, 1, 2]),
    ("tuple", [("log_list", "a", (1, 2))], [1, 2]),
    ("array", [("log_list", "a", Array([1, 2]))], [1, 2]),
    ("empty list", [("log_list", "a", [])], "absent"),
    ("infinite list", [("log_list", "a", [1, INF, "Infinity"])], [1, INF, "Infinity"]),
    ("repeated list", [("log_list", "a", [1, 2]), ("log_list", "a", [3])], [1, 2, 3]),
    ("one row", [("log_row", "a", {"x": 1, "y": 2.5})], {"x": 1, "y": 2.5}),
    ("rows", [("log_row", "a", {"x": 1}), ("log_row", "a", {"x": INF})], {"x": [1, INF]}),
    ("rows that differ", [("log_row", "a", {"x": 1}), ("log_row", "a", {"y": 2})], {"x": [1, None], "y": [None, 2]}),
    ("no columns", [("log_row", "a", {})], "absent"),
    ("table", [("log_table", "a", {"x": [1, 2], "y": [3, INF]})], {"x": [1, 2], "y": [3, INF]}),
    ("table of one row", [("log_table", "a", {"x": 1, "y": [2]})], {"x": 1, "y": 2}),
    ("tables", [("log_table", "a", {"x": [1, 2]}), ("log_table", "a", {"x": [3]})], {"x": [1, 2, 3]}),
    ("table and row", [("log_table", "a", {"x": [1]}), ("log_row", "a", {"x": 2})], {"x": [1, 2]}),
    ("empty table", [("log_table", "a", {})], "absent"),
    ("scalar, then list", [("log", "a", 1), ("log_list", "a", [2, 3])], [1, 2, 3]),
]


@pytest.mark.parametrize(("calls", "value"), [row[1:] for row in SHAPES], ids=[row[0] for row in SHAPES])
def test_metric_comes_back_in_its_shape(calls: list[tuple[str, str, Any]], value: Any, run: Any) -> None:
    """A scalar is itself, several are a list, rows and tables are columns."""
    for call, name, logged in calls:
        if call == "log_row":
            run.log_row(name, **logged)
        else:
            getattr(run, call)(name, logged)
    assert run.get_metrics().get("a", "absent") == value
    assert run.get_metrics("a") == run.get_metrics() and run.get_metrics("b") == {}


def test_nan_comes_back(run: Any) -> None:
    """NaN survives in a scalar, a list, a row and a table, and the text "NaN" stays text."""
    run.log("s", NAN)
    run.log_list("l", [NAN, "NaN"])
    run.log_row("r", x=NAN, y="NaN")
    run.log_table("t", {"x": [NAN, 1], "y": ["NaN", 1]})
    found = run.get_metrics()
    assert all(math.isnan(value) for value in (found["s"], found["l"][0], found["r"]["x"], found["t"]["x"][0]))
    assert (found["l"][1], found["r"]["y"], found["t"]["y"][0]) == ("NaN", "NaN", "NaN")


REFUSED = [
    ("log list", "log", [1], "UserErrorException", "run.log does not support list type. Use run.log_list instead"),
    ("log tuple", "log", (1,), "UserErrorException", "run.log does not support tuple type"),
    ("log range", "log", range(2), "UserErrorException", "run.log does not support range type"),
    ("log generator", "log", (n for n in ()), "UserErrorException", "run.log does not support generator type"),
    ("65 bits", "log", 2**63, "UserErrorException", "64 bits"),
    ("list of lists", "log_list", [[1]], "AzureMLException", "Value of type <class 'list'> is not supported"),
    ("table that is none", "log_table", 3, "AzureMLException", "Argument [Table] is of invalid type."),
    (
        "table of unequal columns",
        "log_table",
        {"x": [1], "y": [1, 2]},
        "AzureMLException",
        "Columns must have the same length, column x had length 1, however, column y had length 2.",
    ),
    ("text that is no JSON", "log_confusion_matrix", "{", "UserErrorException", "Invalid JSON provided"),
]


@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
def test_wrong_use_raises_as_v1_does(row: tuple[str, str, Any, str, str], run: Any, errors: Any) -> None:
    """The exception has v1's class and message, at once, and nothing is logged."""
    _, call, value, kind, message = row
    with pytest.raises(errors.AzureMLException) as caught:
        getattr(run, call)("a", value)
    assert type(caught.value).__name__ == kind and message in caught.value.message
    assert run.get_metrics() == {}


def test_rows_cannot_contain_lists(run: Any, errors: Any) -> None:
    """A list as a cell of a row is refused as v1 refuses it."""
    with pytest.raises(errors.AzureMLException, match="Rows cannot contain list values, column x contains a list"):
        run.log_row("a", x=[1])


def test_list_of_what_is_no_list(run: Any) -> None:
    """What cannot be walked through is a TypeError."""
    with pytest.raises(TypeError):
        run.log_list("a", 1)


def test_image_of_a_figure(run: Any) -> None:
    """A figure, or the pyplot module, becomes a file `<name>_<epoch>.png`; twice in a second are two files."""
    run.log_image("curve", plot=Figure())
    run.log_image("curve", plot=Figure())
    files = [name for name in run.get_file_names() if name.startswith("curve_")]
    uris = run.get_metrics("curve")["curve"]
    assert len(set(files)) == 2 and all(name.endswith(".png") for name in files)
    assert sorted(uris) == sorted(f"aml://artifactId/ExperimentRun/dcid.{run.id}/{name}" for name in files)
    assert run.get_metrics("curve", populate=True) == {"curve": [b"picture"] * 2}


def test_image_of_a_file(run: Any, tmp_path: Any) -> None:
    """A path is kept under that name; one outside the working directory under its own name."""
    for path in ("plots/a.png", str(tmp_path / "b.png")):
        target = tmp_path / "work" / path
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(b"x")
        run.log_image("i", path=path)
    assert {"plots/a.png", "b.png"} <= set(run.get_file_names())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "one of path and plot is required"),
        ({"path": "x", "plot": 1}, "path and plot were both provided"),
        ({"path": "missing.png"}, "File path doesn't exist"),
        ({"plot": 1}, "no savefig"),
    ],
)
def test_image_wants_one_source(arguments: dict[str, Any], message: str, run: Any, errors: Any) -> None:
    """Exactly one of path and plot must be given, and must be what it should."""
    with pytest.raises(errors.AzureMLException, match=message):
        run.log_image("i", **arguments)


@pytest.mark.parametrize("kind", ["confusion_matrix", "accuracy_table", "residuals", "predictions"])
def test_json_metrics_are_files(kind: str, run: Any, records: Any) -> None:
    """An object or JSON text becomes a file of the metric's name; the record says which kind."""
    value = {**MATRIX, "schema_type": kind}
    getattr(run, f"log_{kind}")("m", value)
    getattr(run, f"log_{kind}")("n", json.dumps(value), description="d")
    assert run.get_metrics(populate=True) == {"m": value, "n": value}
    assert [(r["kind"], r["value"], r.get("d")) for r in records()] == [(kind, "m", None), (kind, "n", "d")]


def test_description_and_step_are_kept(run: Any, records: Any) -> None:
    """`description` and `step` are in the record."""
    run.log("a", 1, "an a", step=3)
    run.log_row("b", "a b", x=1)
    first, second = records()
    assert (first["d"], first["step"], second["d"]) == ("an a", 3, "a b")


def test_limits_of_azure_are_none_here(run: Any) -> None:
    """More than 50 names, 15 columns, 255 characters are kept (2.8)."""
    for number in range(60):
        run.log(f"metric {number}", "x" * 1000)
    run.log_row("wide", **{f"column_{number}": number for number in range(40)})
    assert len(run.get_metrics()) == 61 and len(run.get_metrics()["wide"]) == 40


def test_flush_returns_at_once(run: Any) -> None:
    """There is nothing to wait for."""
    assert run.flush(timeout_seconds=0) is None
