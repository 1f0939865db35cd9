"""Runs that a program or a notebook logs to (azureml-v1.md 1.2, 2.4 to 2.6)."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from runner.cancellation import cancel
from runner.sdk import Experiment, Run, ScriptRunConfig
from runner.sdk.exceptions import SnapshotException, UserErrorException


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, which start_logging keeps by default."""
    folder = tmp_path / "notebook"
    folder.mkdir()
    (folder / "cell.py").write_text("print()")
    monkeypatch.chdir(folder)
    return folder


def test_it_runs_from_the_start_and_ends_when_told(experiment: Experiment) -> None:
    """It is found among the experiment's runs, without a type."""
    run = experiment.start_logging(display_name="by hand")
    assert (run.get_status(), run.type, run.display_name) == ("Running", None, "by hand")
    assert [found.id for found in experiment.get_runs()] == [run.id]
    run.complete()
    assert run.wait_for_completion()["status"] == "Completed"
    run.fail("too late")
    assert Run(experiment, run.id).get_status() == "Completed"


def test_what_it_logs_can_be_read_at_once(experiment: Experiment) -> None:
    """Numbers, texts and generators, as in a job; what v1 refuses is refused in its words."""
    run = experiment.start_logging(snapshot_directory=None)
    for loss in (1.5, 0.5):
        run.log("loss", loss)
    run.log("best", "b", step=3)
    metrics = run.get_metrics()
    assert (metrics["loss"], metrics["best"]) == ([1.5, 0.5], "b")
    with pytest.raises(UserErrorException, match=r"Use run\.log_list instead"):
        run.log("loss", [1])


def test_files_are_kept_under_their_names(experiment: Experiment, here: Path) -> None:
    """In `outputs/` and outside of it; twice under one name is a conflict; `outputs=` is kept at the end."""
    (here / "made").mkdir()
    (here / "made" / "model.bin").write_bytes(b"m")
    run = experiment.start_logging(outputs=str(here / "made"), snapshot_directory=None)
    run.upload_file("outputs/a.txt", str(here / "cell.py"))
    run.upload_file("report/b.txt", str(here / "cell.py"))
    with pytest.raises(UserErrorException, match="already exists"):
        run.upload_file("outputs/a.txt", str(here / "cell.py"))
    run.complete()
    assert run.get_file_names() == ["outputs/a.txt", "outputs/model.bin", "report/b.txt"]
    run.download_file("report/b.txt", str(here / "copy.txt"))
    assert (here / "copy.txt").read_text() == "print()"


@pytest.mark.parametrize(("code", "status"), [(None, "Completed"), (0, "Completed"), (3, "Failed")])
def test_with_ends_it(experiment: Experiment, code: int | None, status: str) -> None:
    """SystemExit(0) is success, any other exception fails the run and goes on."""
    with pytest.raises(SystemExit), experiment.start_logging(snapshot_directory=None) as run:
        raise SystemExit(code)
    assert run.get_status() == status


def test_an_exception_is_the_runs_error(experiment: Experiment) -> None:
    """Its text is in the details."""
    with pytest.raises(ValueError, match="bad"), experiment.start_logging(snapshot_directory=None) as run:
        raise ValueError("bad batch")
    assert "bad batch" in str(run.get_details()["error"])


def test_children_have_runs_of_their_own(experiment: Experiment) -> None:
    """Numbered or tagged, newest first, below their parent and out of the experiment's list."""
    run = experiment.start_logging(snapshot_directory=None)
    first, second = run.create_children(2)
    tagged = run.create_children(tag_key="fold", tag_values=["a"])[0]
    grandchild = tagged.child_run("deep")
    assert [child.get_tags() for child in (first, second)] == [
        {"azureml.batch_child_number": "0"},
        {"azureml.batch_child_number": "1"},
    ]
    assert {child.id for child in run.get_children()} == {first.id, second.id, tagged.id}
    assert [child.id for child in run.get_children(tags={"fold": "a"})] == [tagged.id]
    assert grandchild.id in {child.id for child in run.get_children(recursive=True)}
    parent = grandchild.parent
    assert parent is not None and parent.id == tagged.id and grandchild.display_name.endswith(">deep")
    assert [found.id for found in experiment.get_runs()] == [run.id]
    assert len([*experiment.get_runs(include_children=True)]) == 5


@pytest.mark.parametrize("given", [{}, {"count": 1, "tag_key": "a"}, {"tag_key": "a"}, {"count": 101}])
def test_create_children_takes_one_of_two_ways(experiment: Experiment, given: dict[str, int | str]) -> None:
    """As v1's."""
    run = experiment.start_logging(snapshot_directory=None)
    with pytest.raises(UserErrorException):
        run.create_children(**given)  # type: ignore[arg-type]  # as scripts do


def test_properties_cannot_be_changed(experiment: Experiment) -> None:
    """New ones are added, the same again is fine, another value raises and adds nothing."""
    run = experiment.start_logging(snapshot_directory=None)
    run.add_properties({"author": "me"})
    run.add_properties({"author": "me", "team": "vision"})
    with pytest.raises(UserErrorException, match="immutable"):
        run.add_properties({"new": "1", "author": "you"})
    assert run.get_properties() == {"author": "me", "team": "vision"}


def test_names_can_be_given_later(experiment: Experiment) -> None:
    """The display name and the description."""
    run = experiment.start_logging(snapshot_directory=None)
    run.display_name, run.description = "best", "of all"
    assert (run.name, Run.get(experiment.workspace, run.id).description) == ("best", "of all")


def test_the_snapshot_comes_back_as_an_archive(experiment: Experiment, here: Path) -> None:
    """It is taken of the current folder; a second one is refused."""
    run = experiment.start_logging()
    archive = run.restore_snapshot(path=str(here / "snapshots"))
    assert archive.endswith(f"{run.get_snapshot_id()}.zip")
    assert zipfile.ZipFile(archive).read("cell.py") == b"print()"
    with pytest.raises(SnapshotException, match="already has one"):
        run.take_snapshot(str(here))


def test_it_can_be_canceled_from_outside(experiment: Experiment) -> None:
    """No controller is started for it."""
    run = experiment.start_logging(snapshot_directory=None)
    assert cancel(experiment.workspace.layout, run.id).status.value == "Canceled"
    assert not run.layout.controller_log.exists()


def test_a_submitted_run_is_not_ended_by_words(experiment: Experiment, project: Path) -> None:
    """`complete` says nothing; `fail` cancels it, since its own processes decide."""
    run = experiment.submit(ScriptRunConfig(project, "train.py", ["wait", str(project / "go")]))
    run.complete()
    assert run.get_status() != "Completed"
    run.fail()
    assert run.wait_for_completion(raise_on_error=False, wait_post_processing=True)["status"] == "Canceled"


def test_a_child_can_be_submitted(experiment: Experiment, project: Path) -> None:
    """It is a run of its own below the other."""
    run = experiment.start_logging(snapshot_directory=None)
    child = run.submit_child(ScriptRunConfig(project, "train.py"), tags={"a": "1"})
    child.wait_for_completion()
    assert child.parent is not None and child.parent.id == run.id
    assert [found.id for found in run.get_children(tags="a")] == [child.id]
