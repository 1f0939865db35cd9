"""What MLflow is told of a workspace; needs no MLflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.history.status import RunStatus
from runner.interop import in_job_code
from runner.interop.mlflow_address import address_of, path_of, workspace_of
from sidecar.contract import settings
from sidecar.contract.layout import WorkspaceLayout
from tests.doubles.run_folders import new_run


@pytest.fixture
def workspace(tmp_path: Path) -> WorkspaceLayout:
    return WorkspaceLayout(tmp_path)


@pytest.fixture
def views(workspace: WorkspaceLayout) -> Any:
    """The views of the workspace."""
    in_job_code.find("scriptrun_job", "scriptrun_mlflow")
    from runner.interop.mlflow_views import WorkspaceViews

    return WorkspaceViews(workspace)


def test_address_and_path_are_each_others_inverse(tmp_path: Path) -> None:
    """Spaces and signs in a path survive; an address without a path means the workspace of the surroundings."""
    folder = tmp_path / "a b#c%20?d"
    assert path_of(address_of(folder)) == folder
    assert workspace_of(address_of(folder), {}, tmp_path).root == folder
    assert workspace_of("scriptrun:", {settings.WORKSPACE: str(folder)}, tmp_path).root == folder


def test_a_going_run_is_read_on(workspace: WorkspaceLayout, views: Any) -> None:
    """What a job logs is seen at the next question, and the last of it once the run has ended."""
    run = new_run(workspace)
    run.record(RunStatus.RUNNING)
    for number in range(3):
        run.metric("x", number, n=number, second=number)
        assert views.run(run.run_id).facts.series["x"].latest().value == number
    run.metric("x", 9, n=3, second=4)
    run.record(RunStatus.COMPLETED)
    assert views.run(run.run_id).facts.series["x"].latest().value == 9
    assert views.run(run.run_id).status == "Completed"


def test_what_a_person_wrote_later_counts(workspace: WorkspaceLayout, views: Any) -> None:
    """A script's tag takes the place of the config's; a person's later one that of the script's."""
    run = new_run(workspace)
    run.metric("a", "script", n=0, kind="tag")
    run.metric("b", "script", n=1, kind="tag")
    run.record(tags={"a": "config", "b": "person"}, request={"tags": {"a": "config", "b": "config"}})
    tags = views.run(run.run_id).tags
    assert (tags["a"], tags["b"]) == ("script", "person")


def test_a_child_run_that_was_never_ended_ends_with_its_job(workspace: WorkspaceLayout, views: Any) -> None:
    """Its status is that of the job's run until something else was said."""
    run = new_run(workspace)
    run.metric("", None, n=0, kind="child", r="c_1_00000001", parent=run.run_id)
    run.record(RunStatus.FAILED)
    assert views.run("c_1_00000001").status == "Failed"
    assert {view.run_id for view in views.runs(["digits"])} == {run.run_id, "c_1_00000001"}


def test_a_broken_record_hides_only_its_run(workspace: WorkspaceLayout, views: Any) -> None:
    """A run that cannot be read is left out, and the others are there."""
    new_run(workspace).layout.record.write_text("{")
    other = new_run(workspace, number=1)
    other.record()
    assert [view.run_id for view in views.runs(["0"])] == [other.run_id]
