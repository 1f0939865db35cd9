"""The index of metrics agrees with the files, whatever was taken in when."""

from __future__ import annotations

import json
import math
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from runner.history.metrics_file import read_metrics
from runner.store import metrics_index
from runner.store.metrics_index import read_run_metrics, take_in
from sidecar.contract.layout import WorkspaceLayout
from tests.doubles.run_folders import RunFolder, new_run


@pytest.fixture
def workspace(tmp_path: Path) -> WorkspaceLayout:
    return WorkspaceLayout(tmp_path)


@pytest.fixture
def run(workspace: WorkspaceLayout) -> RunFolder:
    return new_run(workspace)


def write(run: RunFolder, process_name: str, records: list[dict[str, Any]]) -> None:
    """Appends records, each a second after the one before."""
    path = run.layout.process_metrics(process_name)
    start = len(path.read_bytes().splitlines()) if path.exists() else 0
    with open(path, "a", encoding="ascii") as stream:
        for number, record in enumerate(records, start):
            head = {"w": process_name, "n": number, "t": number * 10**9, "step": None, "kind": "scalar"}
            stream.write(json.dumps({**head, **record}) + "\n")


def everything(run: RunFolder) -> list[dict[str, Any]]:
    """One record of every sort."""
    return [
        {"name": "float", "value": 1.5},
        {"name": "float", "value": "NaN", "f": 1},
        {"name": "int", "value": 2**62},
        {"name": "int", "value": 3, "step": 7},
        {"name": "text", "value": "ä"},
        {"name": "mixed", "value": 1},
        {"name": "mixed", "value": 1.5},
        {"name": "list", "value": [1, "Infinity"], "f": [1], "kind": "list"},
        {"name": "table", "value": {"x": [1, 2]}, "kind": "table"},
        {"name": "float", "value": 9.5, "r": "child"},
    ]


def same(found: Any, expected: Any) -> bool:
    """Equality in which NaN equals NaN and 1 differs from 1.0."""
    return repr(found) == repr(expected)


@pytest.mark.parametrize("is_taken_in", [False, True])
def test_every_sort_of_metric_comes_back(is_taken_in: bool, run: RunFolder, workspace: WorkspaceLayout) -> None:
    """What is in the index has the types and shapes that it has in the files."""
    write(run, "main", everything(run))
    expected = read_metrics(run.layout).by_name()
    if is_taken_in:
        assert take_in(workspace, run.run_id)
        metrics_index.SMALL_BYTES, limit = 0, metrics_index.SMALL_BYTES
        try:
            found = read_run_metrics(workspace, run.run_id)
        finally:
            metrics_index.SMALL_BYTES = limit
    else:
        found = read_run_metrics(workspace, run.run_id)
    assert same(found.by_name(), expected) and math.isnan(expected["float"][1])
    assert found.merged("int").steps == [None, 7]
    assert read_run_metrics(workspace, run.run_id, "child").by_name() == {"float": [9.5]}
    assert read_run_metrics(workspace, run.run_id, name="int").by_name() == {"int": [2**62, 3]}


def test_index_goes_on_where_it_stopped(run: RunFolder, workspace: WorkspaceLayout) -> None:
    """Points that come later, and those of another process, are found whether they are taken in or not."""
    write(run, "rank_0", [{"name": "x", "value": 0.5 * number} for number in range(10_000)])
    assert take_in(workspace, run.run_id) and take_in(workspace, run.run_id)
    write(run, "rank_0", [{"name": "x", "value": -1.0}])
    write(run, "rank_1", [{"name": "x", "value": -2.0}])
    values = read_run_metrics(workspace, run.run_id).by_name()["x"]
    assert len(values) == 10_002 and sorted(values)[:2] == [-2.0, -1.0] and values[-1] == -1.0


def test_file_that_was_begun_anew(run: RunFolder, workspace: WorkspaceLayout) -> None:
    """Another file in its place, or a shorter one, is taken in from its start."""
    write(run, "main", [{"name": "x", "value": 1.0}] * 5000)
    take_in(workspace, run.run_id)
    run.layout.process_metrics("main").unlink()
    write(run, "main", [{"name": "x", "value": 2.0}] * 4000)
    take_in(workspace, run.run_id)
    assert set(read_run_metrics(workspace, run.run_id).by_name()["x"]) == {2.0}


def test_unfinished_line_waits(run: RunFolder, workspace: WorkspaceLayout) -> None:
    """A line that is being written is taken in once it is whole; a broken one is counted once."""
    write(run, "main", [{"name": "x", "value": number} for number in range(3000)])
    path = run.layout.process_metrics("main")
    with open(path, "a") as stream:
        stream.write('nonsense\n{"w":"main","n":9,"t":9,"na')
    assert take_in(workspace, run.run_id) and take_in(workspace, run.run_id)
    with open(path, "a") as stream:
        stream.write('me":"x","value":7,"step":null,"kind":"scalar"}\n')
    metrics = read_run_metrics(workspace, run.run_id)
    assert (len(metrics.by_name()["x"]), metrics.broken_count) == (3001, 1)


def test_without_an_index_the_files_do(run: RunFolder, workspace: WorkspaceLayout) -> None:
    """A foreign or broken file in its place is replaced, a folder in its place is left alone."""
    write(run, "main", [{"name": "x", "value": number} for number in range(3000)])
    workspace.history.write_bytes(b"not a database" * 1000)
    assert take_in(workspace, run.run_id)
    with sqlite3.connect(workspace.history) as database:
        assert database.execute("SELECT sum(count) FROM metric_points").fetchone() == (3000,)
    database.close()
    for path in workspace.root.glob("history.db*"):
        path.unlink()
    workspace.history.mkdir()
    assert not take_in(workspace, run.run_id)
    assert len(read_run_metrics(workspace, run.run_id).by_name()["x"]) == 3000


def test_hundred_thousand_names(run: RunFolder, workspace: WorkspaceLayout) -> None:
    """There is no limit on names; each is found by itself."""
    write(run, "main", [{"name": f"metric {number}", "value": number} for number in range(100_000)])
    assert take_in(workspace, run.run_id)
    assert read_run_metrics(workspace, run.run_id, name="metric 77777").by_name() == {"metric 77777": [77777]}
    assert len(read_run_metrics(workspace, run.run_id).names()) == 100_000


def test_text_of_ten_megabytes(run: RunFolder, workspace: WorkspaceLayout) -> None:
    """A record that is larger than what is parsed at once is one record."""
    write(run, "main", [{"name": "big", "value": "x" * 10_000_000}, {"name": "small", "value": 1}])
    assert take_in(workspace, run.run_id)
    found = read_run_metrics(workspace, run.run_id).by_name()
    assert (len(found["big"][0]), found["small"]) == (10_000_000, [1])
