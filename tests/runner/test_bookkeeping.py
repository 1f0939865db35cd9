"""What the processes of a job said is in the run's record, and child runs are runs."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from runner.bookkeeping import Bookkeeper
from runner.history.record_update import update_record
from runner.history.run_record import RunRecord, read_record
from runner.history.status import RunStatus
from runner.sdk.run_metrics import metrics_below
from runner.store.run_lookup import list_run_ids, resolve
from sidecar.contract.layout import WorkspaceLayout
from tests.doubles.run_folders import EPOCH_S, RunFolder, new_run

CHILD = f"digits_{EPOCH_S + 5}_0000000c"


@pytest.fixture
def workspace(tmp_path: Path) -> WorkspaceLayout:
    return WorkspaceLayout(tmp_path)


@pytest.fixture
def run(workspace: WorkspaceLayout) -> RunFolder:
    run = new_run(workspace)
    run.record(RunStatus.RUNNING, tags={"team": "vision"}, properties={"p": "0"})
    return run


def say(run: RunFolder, kind: str, n: int = 0, **keys: Any) -> None:
    """Appends one record of the job."""
    run.metric(keys.pop("name", "x"), keys.pop("value", None), n=n, kind=kind, second=n, **keys)


def test_tags_properties_and_details(run: RunFolder, workspace: WorkspaceLayout) -> None:
    """The last tag counts and the first property; a property that would change is a warning."""
    say(run, "tag", 0, name="a", value="1")
    say(run, "tag", 1, name="a", value="2")
    say(run, "tag_removed", 2, name="team")
    say(run, "property", 3, name="q", value="1")
    say(run, "property", 4, name="p", value="1")
    say(run, "detail", 5, name="display_name", value="best")
    keeper = Bookkeeper(workspace, run.run_id)
    assert keeper.look() and not keeper.look()
    record = read_record(run.layout)
    assert (record.tags, record.properties, record.name) == ({"a": "2"}, {"p": "0", "q": "1"}, "best")
    assert record.warnings == ("property p is '0' already; a process of the job asked for '1'",)


def test_a_persons_later_tag_stays(run: RunFolder, workspace: WorkspaceLayout) -> None:
    """What was taken over once is not taken over again."""
    say(run, "tag", 0, name="a", value="job")
    keeper = Bookkeeper(workspace, run.run_id)
    keeper.look()
    update_record(run.layout, lambda record: _tagged(record, "person"))
    say(run, "tag", 1, name="b", value="job")
    keeper.look()
    assert read_record(run.layout).tags["a"] == "person"


def _tagged(record: RunRecord, value: str) -> RunRecord:
    return RunRecord.from_json({**record.to_json(), "tags": {"a": value}})


def test_child_runs_are_runs(run: RunFolder, workspace: WorkspaceLayout) -> None:
    """A child has a record with its parent, tags and status of its own, its files, and metrics through its job."""
    say(run, "child", 0, r=CHILD, parent=run.run_id, value="fold 1", origin="script")
    say(run, "child", 1, r="own_id", parent=CHILD, value=None, origin="mlflow")
    say(run, "tag", 2, r=CHILD, name="k", value="v")
    run.metric("loss", 0.5, n=3, r=CHILD)
    say(run, "status", 4, r=CHILD, status="Failed", error="ValueError: no")
    (run.layout.child(CHILD).outputs).mkdir(parents=True)
    (run.layout.child(CHILD).outputs / "m.txt").write_text("x")
    Bookkeeper(workspace, run.run_id).finish(RunStatus.COMPLETED)
    record = read_record(workspace.run(CHILD))
    assert (record.parent_run_id, record.name, record.tags) == (run.run_id, "fold 1", {"k": "v"})
    assert (record.status, record.failure and record.failure["summary"]) == (RunStatus.FAILED, "ValueError: no")
    assert (workspace.run(CHILD).outputs / "m.txt").read_text() == "x"
    assert read_record(workspace.run("own_id")).status is RunStatus.COMPLETED
    assert metrics_below(workspace, run.run_id, name=None, is_populated=False) == {CHILD: {"loss": 0.5}}
    assert sorted(list_run_ids(workspace)) == sorted([run.run_id, CHILD])
    assert resolve(workspace, "last") == run.run_id


def test_all_of_it_again_changes_nothing(run: RunFolder, workspace: WorkspaceLayout) -> None:
    """A controller that was killed and begins again finds the same."""
    say(run, "child", 0, r=CHILD, parent=run.run_id, value="fold 1", origin="script")
    say(run, "status", 1, r=CHILD, status="Completed", error=None)
    say(run, "model", 2, name="m", value={"path": "outputs/m"})
    for _ in range(2):
        Bookkeeper(workspace, run.run_id).look()
    assert read_record(run.layout).extra["models"] == [{"name": "m", "path": "outputs/m"}]
    assert len(run.layout.children.read_bytes().splitlines()) == 1
    assert read_record(workspace.run(CHILD)).status is RunStatus.COMPLETED


@pytest.mark.parametrize("child_id", ["../x", "", "digits_1_00000000"])
def test_a_child_cannot_be_another_run(child_id: str, run: RunFolder, workspace: WorkspaceLayout) -> None:
    """An id that leads elsewhere, or is taken, makes no run and touches none."""
    other = RunFolder(workspace.run("digits_1_00000000"))
    before = other.record(RunStatus.COMPLETED)
    say(run, "child", 0, r=child_id, parent=run.run_id, value=None, origin="script")
    say(run, "tag", 1, r=child_id or "digits_1_00000000", name="k", value="v")
    Bookkeeper(workspace, run.run_id).look()
    assert read_record(other.layout) == before and len(list_run_ids(workspace)) == 2


def test_loss_is_a_warning(run: RunFolder, workspace: WorkspaceLayout) -> None:
    """A process that could not write says how much, or that it could not even say that."""
    say(run, "lost", 0, value=3)
    run.layout.process_metrics("rank_1").touch()
    run.layout.process_loss("rank_1").touch()
    Bookkeeper(workspace, run.run_id).finish(RunStatus.COMPLETED)
    first, second = read_record(run.layout).warnings
    assert first.startswith("main: 3 records of metrics") and second.startswith("rank_1: some records of metrics")


def test_it_looks_by_itself(run: RunFolder, workspace: WorkspaceLayout) -> None:
    """Tags of a job that goes on are seen, and nonsense among them stops nothing."""
    say(run, "detail", 0, name="nonsense", value=1)
    say(run, "status", 1, r="nobody", status="Nonsense")
    say(run, "tag", 2, name="a", value="1")
    keeper = Bookkeeper(workspace, run.run_id)
    keeper.start()
    seen = threading.Event()
    for _ in range(600):
        if read_record(run.layout).tags.get("a") == "1":
            break
        seen.wait(0.05)
    assert read_record(run.layout).tags["a"] == "1"
    keeper.finish(RunStatus.FAILED)
