import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from runner.history.status import RunStatus
from runner.store.history_index import list_by_metric, list_runs, reindex
from sidecar.contract.layout import WorkspaceLayout
from tests.doubles.run_folders import command_line, many_runs, new_run

LARGE = 10_000


@pytest.fixture
def workspace(tmp_path: Path) -> WorkspaceLayout:
    workspace = WorkspaceLayout(tmp_path)
    for number in range(3):
        run = new_run(workspace, number=number)
        run.metric("accuracy", number / 10, n=0)
        run.record(start_time_utc=f"2026-09-21T14:13:2{number}.000000+00:00")
    return workspace


def ids(workspace: WorkspaceLayout, **narrowed: object) -> list[str]:
    rows = list_runs(workspace, **narrowed).rows  # type: ignore[arg-type]
    return [json.loads(row)["run_id"][-1] for row in rows]


def test_row_has_the_keys_of_the_workbench(workspace: WorkspaceLayout) -> None:
    """A row holds metrics at its top and keys in ASCII order."""
    row = json.loads(list_runs(workspace).rows[0])
    assert list(row) == ["accuracy", "duration", "run_id", "script_name", "start_time_utc", "status"]
    assert (row["accuracy"], row["duration"], row["status"]) == (0.2, "0:00:05.000000", "Completed")


def test_runs_are_found_by_a_metric(workspace: WorkspaceLayout) -> None:
    """The greatest last value first; without the metric, or with another status, a run is left out."""
    run = new_run(workspace, number=3)
    run.metric("accuracy", 0.9, n=0)
    run.metric("accuracy", 0.15, n=1, second=1)
    run.record(RunStatus.FAILED)
    new_run(workspace, number=4).record()

    def found(**narrowed: Any) -> list[str]:
        return [json.loads(row)["run_id"][-1] for row in list_by_metric(workspace, "accuracy", **narrowed).rows]

    assert found() == ["2", "3", "1", "0"] and found(limit=1) == ["2"]
    assert found(least=0.12) == ["2", "3"] and found(greatest=0.12, statuses=["Completed"]) == ["1", "0"]
    run.metric("accuracy", 0.95, n=2, second=2)
    run.record(RunStatus.COMPLETED)
    assert found()[0] == "3"


def test_newest_start_comes_first(workspace: WorkspaceLayout) -> None:
    """Rows are sorted by start, the newest first, and can be narrowed."""
    assert ids(workspace) == ["2", "1", "0"]
    assert ids(workspace, limit=1) == ["2"]
    assert ids(workspace, statuses=["Failed"]) == []


def test_changes_on_disk_are_taken_in(workspace: WorkspaceLayout) -> None:
    """New, changed and removed runs show in the next list."""
    list_runs(workspace)
    new_run(workspace, number=3).record(RunStatus.RUNNING)
    new_run(workspace, number=1).record(RunStatus.FAILED)
    shutil.rmtree(new_run(workspace, number=0).layout.root)
    rows = {json.loads(row)["run_id"][-1]: json.loads(row)["status"] for row in list_runs(workspace).rows}
    assert rows == {"1": "Failed", "2": "Completed", "3": "Running"}


def test_metrics_of_a_running_run_are_fresh(workspace: WorkspaceLayout) -> None:
    """What a running run logs after the first list is in the second."""
    run = new_run(workspace, number=5)
    run.record(RunStatus.RUNNING)
    list_runs(workspace)
    run.metric("loss", 7, n=0)
    assert json.loads(list_runs(workspace, statuses=["Running"]).rows[0])["loss"] == 7


@pytest.mark.parametrize("kind", ["garbage", "empty", "foreign", "truncated", "directory"])
def test_broken_index_is_rebuilt(workspace: WorkspaceLayout, kind: str) -> None:
    """Whatever is in the place of the index, the list is right, and the next one too."""
    list_runs(workspace)
    content = workspace.history.read_bytes()
    for path in workspace.root.glob("history.db*"):
        path.unlink()
    if kind == "foreign":
        with sqlite3.connect(workspace.history) as database:
            database.execute("CREATE TABLE runs (x)")
        database.close()
    elif kind == "directory":
        workspace.history.mkdir()
    else:
        workspace.history.write_bytes({"garbage": b"x" * 9000, "empty": b"", "truncated": content[:5000]}[kind])
    assert ids(workspace) == ids(workspace) == ["2", "1", "0"]


def test_unreadable_record_is_left_out_and_named(workspace: WorkspaceLayout) -> None:
    """A broken record costs its own row and no other."""
    run = new_run(workspace, number=2)
    list_runs(workspace)
    run.layout.record.write_text("nonsense")
    listing = list_runs(workspace)
    assert (listing.unreadable, len(listing.rows)) == ((run.run_id,), 2)


def test_read_only_workspace_lists_without_an_index() -> None:
    """Where nothing can be written the list still comes, and nothing is left behind."""
    code = "import os, sys, pathlib\nfrom sidecar.contract.layout import WorkspaceLayout\n"
    code += "from runner.store.history_index import list_runs\nos.getuid() or os.setuid(65534)\n"
    code += "print(len(list_runs(WorkspaceLayout(pathlib.Path(sys.argv[1]))).rows))"
    with tempfile.TemporaryDirectory() as folder:  # not tmp_path: that one is closed to the user root becomes
        workspace = WorkspaceLayout(Path(folder))
        new_run(workspace).record()
        for path in workspace.root.rglob("*"):
            path.chmod(0o755 if path.is_dir() else 0o644)
        workspace.root.chmod(0o555)
        done = subprocess.run([sys.executable, "-c", code, folder], capture_output=True, text=True)
        assert (done.stdout, workspace.history.exists()) == ("1\n", False), done.stderr
        workspace.root.chmod(0o755)


def test_reindex_builds_again(workspace: WorkspaceLayout) -> None:
    """Reindexing gives the same rows from the folders alone."""
    before = list_runs(workspace).rows
    assert reindex(workspace).rows == before


def test_lists_at_once_agree(workspace: WorkspaceLayout) -> None:
    """Several commands that build the index at once all see every run."""
    argv = command_line("history", "list", "-o", "json")
    environ = {**os.environ, "RUNNER_WORKSPACE": str(workspace.root)}
    running = [subprocess.Popen(argv, env=environ, stdout=subprocess.PIPE) for _ in range(6)]
    assert [len(json.loads(process.communicate()[0])) for process in running] == [3] * 6


@pytest.fixture(scope="session")
def large_workspace(tmp_path_factory: pytest.TempPathFactory) -> WorkspaceLayout:
    workspace = WorkspaceLayout(tmp_path_factory.mktemp("large"))
    many_runs(workspace, LARGE)
    list_runs(workspace)
    return workspace


def test_ten_thousand_runs_are_listed_quickly(large_workspace: WorkspaceLayout) -> None:
    """The whole command, Python's start included, stays quick; the floor of 0.3 s is held by the benchmark."""
    environ = {**os.environ, "RUNNER_WORKSPACE": str(large_workspace.root)}
    started = time.perf_counter()
    done = subprocess.run(command_line("history", "list", "-o", "json"), env=environ, stdout=subprocess.PIPE)
    elapsed_s = time.perf_counter() - started
    print(f"history list of {LARGE} runs: {elapsed_s:.3f} s")
    assert len(json.loads(done.stdout)) == LARGE
    assert elapsed_s < 1.5
