import math
from pathlib import Path

import pytest

from runner.history.history_row import read_metric_columns
from runner.history.metrics_file import read_metrics
from sidecar.contract.layout import WorkspaceLayout
from tests.doubles.run_folders import RunFolder, new_run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return new_run(WorkspaceLayout(tmp_path))


def test_values_are_in_order_of_time(run: RunFolder) -> None:
    """Metrics of several writers are ordered by time."""
    run.metric("loss", 3, n=2, second=6, writer="b")
    run.metric("loss", 1, n=0, second=1, writer="a")
    run.metric("loss", 2, n=1, second=5, writer="a")
    assert read_metrics(run.layout).by_name() == {"loss": [1, 2, 3]}


def test_clock_that_jumps_back_changes_no_order(run: RunFolder) -> None:
    """Calls of one writer stay in their order, whatever its clock says."""
    for number, second in enumerate((5, 1, 6)):
        run.metric("loss", number, n=number, second=second)
    run.metric("loss", "other", n=0, second=5.5, writer="b")
    assert read_metrics(run.layout).by_name() == {"loss": [0, 1, "other", 2]}


def test_rows_of_lists_and_tables(run: RunFolder) -> None:
    """A list gives its elements, a table its rows, a file its name; what is no metric gives nothing."""
    run.metric("l", [1, "NaN"], n=0, kind="list", f=[1])
    run.metric("t", {"x": [1, 2], "y": ["Infinity", 3]}, n=1, kind="table", f={"y": [0]})
    run.metric("t", {"x": 5}, n=2, kind="row")
    run.metric("i", "i.png", n=3, kind="image")
    run.metric("k", "v", n=4, kind="tag")
    found = read_metrics(run.layout).by_name()
    assert found["l"][0] == 1 and math.isnan(found["l"][1])
    assert found["t"] == [{"x": 1, "y": math.inf}, {"x": 2, "y": 3}, {"x": 5}]
    assert (found["i"], list(found)) == (["i.png"], ["l", "t", "i"])


def test_child_run_has_metrics_of_its_own(run: RunFolder) -> None:
    """A record that names a child run counts for that one only."""
    run.metric("loss", 1, n=0)
    run.metric("loss", 2, n=1, r="child")
    assert read_metrics(run.layout).by_name() == {"loss": [1]}
    assert read_metrics(run.layout, "child").by_name() == {"loss": [2]}


def test_torn_line_waits_and_broken_one_is_counted(run: RunFolder) -> None:
    """An unfinished last line is no error, a line that is no record is counted."""
    run.metric("loss", 1, n=0)
    with open(run.layout.process_metrics("main"), "ab") as stream:
        stream.write(b'nonsense\n{"name": 3}\n[1]\n{"w": "a", "n": 1, "t": 1, "na')
    metrics = read_metrics(run.layout)
    assert (metrics.by_name(), metrics.broken_count) == ({"loss": [1]}, 3)


def test_not_finite_numbers_come_back(run: RunFolder) -> None:
    """NaN and the infinities are numbers again, a text of that name stays a text."""
    run.metric("loss", "-Infinity", n=0, f=1)
    run.metric("loss", "NaN", n=1, f=1)
    run.metric("loss", "NaN", n=2)
    low, nan, text = read_metrics(run.layout).by_name()["loss"]
    assert low == -math.inf and math.isnan(nan) and text == "NaN"


def test_columns_hold_a_value_or_a_list(run: RunFolder) -> None:
    """A metric that was logged once is a value, a repeated one a list, as in the Workbench."""
    run.metric("alpha", 0.5, n=0)
    run.metric("loss", 2, n=1)
    run.metric("loss", "Infinity", n=2, f=1)
    assert read_metric_columns(run.layout, run.record()) == {"alpha": 0.5, "loss": [2, "Infinity"]}


def test_run_without_metrics(tmp_path: Path) -> None:
    """No folder, no metrics, no error."""
    assert read_metrics(WorkspaceLayout(tmp_path).run("x")).by_name() == {}
