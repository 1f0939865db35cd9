"""Reference azureml-v1.md 2.1, 2.2, 2.5, 2.6: which run it is, what is written on it, its children and its files."""

from __future__ import annotations

import contextlib
import io
import pickle
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.conftest import RUN_ID


def test_context_is_one_run(job: Any, run: Any) -> None:
    """`get_context` and its older name give the same run each time; `Run(experiment, id)` and `Run.get` know it too."""
    assert job.get_context() is run is job.get_submitted_run()
    assert job(run.experiment, RUN_ID).id == job.get(None, RUN_ID).id == run.id == RUN_ID
    assert isinstance(run, job) and pickle.loads(pickle.dumps(run)) is run


def test_strange_run_is_refused(job: Any, errors: Any) -> None:
    """A job sees its own run and children only, and says so."""
    with pytest.raises(errors.UserErrorException, match="a job sees its own run"):
        job(None, "other_1700000000_0123abcd")


def test_identity(run: Any) -> None:
    """Names, number, type, experiment and workspace are those of the submitted run."""
    assert (run.display_name, run.name, run.number, run.type) == ("first try", "first try", 7, "azureml.scriptrun")
    assert (run.experiment.name, run.experiment.workspace.name, run.parent) == ("digits", "lab", None)
    assert repr(run) == f"Run(Experiment: digits,\nId: {RUN_ID},\nType: azureml.scriptrun,\nStatus: Running)"
    assert run.get_environment().environment_variables == {"A": "1"}
    assert run.get_snapshot_id() == "5e5d" and run.get_portal_url().startswith("file:///")


def test_names_for_people_can_be_changed(run: Any) -> None:
    """`display_name` and `description` are read and written."""
    assert run.description is None
    run.display_name, run.description = "second try", "better"
    assert (run.display_name, run.description) == ("second try", "better")


def test_status_is_the_processes_matter(run: Any, caplog: Any) -> None:
    """`complete` and `fail` change nothing inside the job, `cancel` warns (2.6)."""
    with run as same:
        assert same is run
    run.complete()
    run.fail("why", "code")
    run.cancel()
    assert run.get_status() == run.status == "Running" and "run.cancel()" in caplog.text
    assert run.get_detailed_status()["status"] == run.get_details()["status"] == "Running"


def test_details(run: Any) -> None:
    """`get_details` has v1's keys."""
    keys = {"runId", "target", "status", "startTimeUtc", "services", "properties", "inputDatasets", "outputDatasets"}
    assert keys | {"runDefinition", "logFiles"} <= set(run.get_details())


def test_tags_can_be_changed(run: Any, caplog: Any) -> None:
    """Tags of the submission are there; a value that is no text becomes one, with a warning."""
    run.tag("quality", "fine run")
    run.tag("marked")
    run.set_tags({"team": "sound", "n": 3})
    run.remove_tags(["quality"])
    assert run.get_tags() == run.tags == {"team": "sound", "marked": "", "n": "3"}
    assert "Converting non-string tag to string: (n: 3)" in caplog.text


def test_properties_are_for_good(run: Any, errors: Any) -> None:
    """New properties can be added, and again with the same value; another value raises and adds nothing."""
    run.add_properties({"author": "ada", "n": 1})
    run.add_properties({"author": "ada"})
    with pytest.raises(errors.UserErrorException, match="immutable"):
        run.add_properties({"new": "x", "author": "bob"})
    with pytest.raises(errors.UserErrorException, match="immutable"):
        run.add_properties({"ContentSnapshotId": "other"})
    assert run.get_properties() == run.properties == {"ContentSnapshotId": "5e5d", "author": "ada", "n": "1"}


def test_child_run(run: Any) -> None:
    """A child starts Running, ends as it is told, and has metrics and tags of its own."""
    child = run.child_run(name="fold 1")
    child.log("loss", 1)
    child.tag("k", "v")
    run.log("loss", 2)
    assert (child.status, child.display_name, child.type, child.parent.id) == ("Running", "fold 1", None, run.id)
    child.complete()
    assert (child.status, child.get_metrics(), child.tags) == ("Completed", {"loss": 1}, {"k": "v"})
    assert run.get_metrics() == {"loss": 2} and "k" not in run.tags
    assert run.get_metrics(recursive=True) == {run.id: {"loss": 2}, child.id: {"loss": 1}}


def test_child_as_context_manager(run: Any) -> None:
    """Success completes a child, an exception fails it and goes on, leaving with 0 is success."""
    went_on: list[str] = []
    for name, error in (("good", None), ("bad", ValueError("no")), ("left", SystemExit(0)), ("broken", SystemExit(3))):
        with contextlib.suppress(ValueError, SystemExit), run.child_run(name):
            if error is not None:
                raise error
            went_on.append(name)
    found = {child.name: child.status for child in run.get_children()}
    assert went_on == ["good"]
    assert found == {"good": "Completed", "bad": "Failed", "left": "Completed", "broken": "Failed"}
    assert [child.name for child in run.get_children(status="Failed")] == ["broken", "bad"]


def test_child_of_a_child(run: Any) -> None:
    """Children nest; `get_children` gives them newest first, all of them with `recursive`."""
    child = run.child_run("a", run_id="own_id")
    grandchild = child.child_run("b")
    assert [found.id for found in run.get_children()] == ["own_id"]
    assert {found.id for found in run.get_children(recursive=True)} == {"own_id", grandchild.id}
    assert grandchild.parent.id == "own_id" and grandchild.parent.parent.id == run.id
    assert pickle.loads(pickle.dumps(grandchild)).id == grandchild.id


def test_create_children(run: Any) -> None:
    """By count they are numbered by a tag, by values they carry them."""
    assert [child.tags for child in run.create_children(count=2)] == [
        {"azureml.batch_child_number": "0"},
        {"azureml.batch_child_number": "1"},
    ]
    run.create_children(tag_key="fold", tag_values=["x", "y"])
    assert len(list(run.get_children(tags="fold"))) == 2 and len(list(run.get_children(tags={"fold": "x"}))) == 1
    assert run.create_children(count=0) == [] and run.status == "Running"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Either count or tag_key and tag_values must be set"),
        ({"count": 1, "tag_key": "a", "tag_values": [1]}, "count can not be set when tag_key and tag_values are set"),
        ({"tag_key": "a"}, "tag_values must not be null when tag_key is set"),
        ({"count": 101}, "create_children can not create more than 100 runs"),
    ],
)
def test_create_children_is_refused(arguments: dict[str, Any], message: str, run: Any, errors: Any) -> None:
    """Exactly one of the two ways must be taken, for at most 100 runs."""
    with pytest.raises(errors.UserErrorException, match=message):
        run.create_children(**arguments)
    assert list(run.get_children()) == []


def test_waiting_for_a_child(run: Any, errors: Any) -> None:
    """A failed child that is waited for raises; the job's own run cannot be waited for."""
    child = run.child_run("a")
    child.fail("why", "Code")
    with pytest.raises(errors.ActivityFailedException, match="Code: why"):
        child.wait_for_completion()
    assert child.wait_for_completion(raise_on_error=False)["status"] == "Failed"
    with pytest.raises(errors.UserErrorException):
        run.wait_for_completion()


def test_upload_file(run: Any, layout: Any, errors: Any) -> None:
    """Files and streams are kept under their names; a name can be taken once (2.5)."""
    Path("model.pkl").write_bytes(b"weights")
    run.upload_file("outputs/model.pkl", "model.pkl")
    run.upload_file("notes/a.txt", io.StringIO("text"))
    run.upload_file(name="b.bin", path_or_stream=io.BytesIO(b"\0"))
    assert {"outputs/model.pkl", "notes/a.txt", "b.bin"} <= set(run.get_file_names())
    assert (layout.outputs / "model.pkl").read_bytes() == b"weights"
    with pytest.raises(errors.UserErrorException, match="already exists"):
        run.upload_file("b.bin", io.BytesIO(b"other"))
    with pytest.raises(errors.UserErrorException, match="doesn't exist"):
        run.upload_file("c.bin", "nowhere")
    run.upload_file("c.bin", "model.pkl")


def test_upload_of_what_was_collected(run: Any, layout: Any) -> None:
    """A file that the runner collected from `outputs/` before may be uploaded under its own name."""
    layout.outputs.mkdir()
    (layout.outputs / "m").write_text("same")
    run.upload_file("outputs/m", io.StringIO("same"))
    assert run.get_file_names().count("outputs/m") == 1


@pytest.mark.parametrize("name", ["", "/etc/x", "../x", "a/../../x", ".", "a\0b"])
def test_names_stay_inside_the_run(name: str, run: Any, errors: Any) -> None:
    """A name that leads out of the run is refused."""
    with pytest.raises(errors.UserErrorException):
        run.upload_file(name, io.StringIO("x"))


def test_upload_several(run: Any) -> None:
    """`upload_files` wants as many names as paths; `upload_folder` keeps everything below."""
    Path("d/e").mkdir(parents=True)
    Path("d/1").write_text("1")
    Path("d/e/2").write_text("2")
    run.upload_files(["x", "y"], ["d/1", "d/e/2"])
    run.upload_folder(name="all", path="./d")
    assert {"x", "y", "all/1", "all/e/2"} <= set(run.get_file_names())
    with pytest.raises(TypeError, match="equal lengths"):
        run.upload_files(["x"], ["d/1", "d/e/2"])


def test_download(run: Any, errors: Any) -> None:
    """A file goes into the current folder by default; a prefix takes several; a missing one names what there is."""
    for name in ("outputs/a.txt", "outputs/b/c.txt", "other.txt"):
        run.upload_file(name, io.StringIO(name))
    run.download_file("outputs/a.txt")
    run.download_file("other.txt", output_file_path="copy.txt")
    run.download_files(prefix="outputs", output_directory="all")
    run.download_files(prefix="outputs", output_directory="flat", append_prefix=False)
    got = {str(path) for path in Path().rglob("*.txt")}
    assert got == {"a.txt", "copy.txt", "all/outputs/a.txt", "all/outputs/b/c.txt", "flat/a.txt", "flat/b/c.txt"}
    with pytest.raises(errors.UserErrorException, match=r"missing was not found,\navailable files include:\n.*other"):
        run.download_file("missing")


def test_files_of_a_child_are_its_own(run: Any) -> None:
    """A child's files are not the parent's, and its outputs folder is kept when it ends."""
    Path("fold").mkdir()
    Path("fold/x").write_text("x")
    child = run.child_run("a", outputs="fold")
    child.upload_file("y", io.StringIO("y"))
    child.complete()
    assert child.get_file_names() == ["outputs/x", "y"] and not {"outputs/x", "y"} & set(run.get_file_names())


def test_register_model(run: Any, errors: Any, records: Any) -> None:
    """A file of the run, or one that will be in its outputs, can be registered; another raises and lists the files."""
    Path("outputs").mkdir()
    Path("outputs/m.pkl").write_text("x")
    run.upload_file("model/weights", io.StringIO("x"))
    model = run.register_model("digits", model_path="outputs/m.pkl", tags={"a": 1}, model_framework="ScikitLearn")
    assert (model.name, model.tags, model.run_id) == ("digits", {"a": "1"}, run.id)
    assert run.register_model("model").name == "model"
    with pytest.raises(errors.ModelPathNotFoundException, match="model/weights"):
        run.register_model("none")
    assert [record["value"]["path"] for record in records() if record["kind"] == "model"] == ["outputs/m.pkl", "model"]


def test_snapshot_is_taken_already(run: Any, errors: Any) -> None:
    """A second snapshot is refused with v1's words."""
    with pytest.raises(errors.SnapshotException, match="Cannot take snapshot as the run already has one"):
        run.take_snapshot(".")


def test_secrets(run: Any, errors: Any, monkeypatch: Any) -> None:
    """A secret comes from the job's environment, through the run and through the key vault."""
    monkeypatch.setenv("RUNNER_SECRET_DB_PASSWORD", "s3")
    vault = run.experiment.workspace.get_default_keyvault()
    assert run.get_secret("db-password") == vault.get_secret("db-password") == "s3"
    assert run.get_secrets(["db-password", "x"]) == {"db-password": "s3", "x": None}
    with pytest.raises(errors.UserErrorException, match="RUNNER_SECRET_X"):
        run.get_secret("x")


def test_input_datasets(run: Any, errors: Any, monkeypatch: Any, tmp_path: Path) -> None:
    """A mounted or downloaded input is a path, one that is read directly an object with its files."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("x\n1\n")
    monkeypatch.setenv("AZUREML_DATASET_ENVIRONMENT_VARS", "digits:mount,table:direct,")
    monkeypatch.setenv("digits", "/data/digits")
    monkeypatch.setenv("TABLE", str(tmp_path / "data"))
    monkeypatch.setenv("AZUREML_DATASET_FILE_OUTPUTS", "scores")
    monkeypatch.setenv("AZUREML_DATAREFERENCE_scores", "/data/scores")
    assert run.input_datasets["digits"] == "/data/digits" and run.output_datasets["scores"] == "/data/scores"
    assert run.input_datasets["table"].to_path() == ["/a.csv"] and list(run.input_datasets) == ["digits", "table"]
    with pytest.raises(errors.UserErrorException, match="digits, table"):
        run.input_datasets["other"]


def test_what_only_the_submitter_can_do(run: Any) -> None:
    """Other calls of v1 end in one error that names them and says why."""
    for name in ("submit_child", "restore_snapshot"):
        with pytest.raises(AttributeError, match=rf"Run\.{name} is not provided inside a job: .*submitting machine"):
            getattr(run, name)
    with pytest.raises(AttributeError, match=r"Workspace\.compute_targets is not provided inside a job"):
        _ = run.experiment.workspace.compute_targets
