"""Models: kept in the workspace by name and version."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.sdk import Experiment, Model, ScriptRunConfig, Workspace
from runner.sdk.exceptions import ModelNotFoundException, ModelPathNotFoundException, UserErrorException


def test_a_file_of_a_run_becomes_a_model(experiment: Experiment, tmp_path: Path) -> None:
    """It knows its run, and its file can be copied back."""
    (tmp_path / "model.pkl").write_bytes(b"m")
    run = experiment.start_logging(snapshot_directory=None)
    run.upload_file("outputs/model.pkl", str(tmp_path / "model.pkl"))
    run.upload_file("aside/model.pkl", str(tmp_path / "model.pkl"))
    model = run.register_model(
        "digits", "outputs/model.pkl", tags={"a": 1}, model_framework=Model.Framework.SCIKITLEARN
    )
    assert (model.name, model.id, model.version, model.tags, model.run_id) == (
        "digits",
        "digits:1",
        1,
        {"a": "1"},
        run.id,
    )
    assert run.register_model("digits", "aside").version == 2
    assert Path(model.download(str(tmp_path / "copy"))).read_bytes() == b"m"
    found = model.run
    assert found is not None and found.id == run.id


def test_a_path_that_is_not_among_the_files(experiment: Experiment) -> None:
    """The message names those that there are."""
    run = experiment.start_logging(snapshot_directory=None)
    with pytest.raises(ModelPathNotFoundException, match=r"provided model_path outputs/no\.pkl"):
        run.register_model("digits", "outputs/no.pkl")


def test_models_are_registered_found_and_removed(workspace: Workspace, tmp_path: Path) -> None:
    """By name and version, by id, by tags; the newest unless said otherwise."""
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "weights").write_bytes(b"w")
    for number in (1, 2):
        Model.register(workspace, str(tmp_path / "m"), "net", tags={"number": number})
    assert (Model(workspace, "net").version, Model(workspace, id="net:1").tags) == (2, {"number": "1"})
    assert [model.version for model in Model.list(workspace, tags=[["number", "1"]])] == [1]
    assert (Path(Model.get_model_path("net", 1, workspace)) / "weights").read_bytes() == b"w"
    Model(workspace, "net", version=2).add_tags({"best": "yes"})
    assert workspace.models["net"].tags == {"number": "2", "best": "yes"}
    Model(workspace, "net").delete()
    assert Model(workspace, "net").version == 1


def test_what_is_not_there_is_said(workspace: Workspace, tmp_path: Path) -> None:
    """A model that nobody registered, and a file that nobody wrote."""
    with pytest.raises(ModelNotFoundException, match="Registered are: none"):
        Model(workspace, "net")
    with pytest.raises(UserErrorException, match="cannot be found"):
        Model.register(workspace, str(tmp_path / "nothing"), "net")


def test_a_job_asks_for_models(experiment: Experiment, project: Path) -> None:
    """Each is registered once the job has ended, also a child run's; asked for twice it is one; lost files are told."""
    (project / "ask.py").write_text(
        "from pathlib import Path\nfrom azureml.core import Run\nrun = Run.get_context()\n"
        "Path('outputs').mkdir(exist_ok=True)\n"
        "for name in ('net', 'gone'):\n"
        "    Path(f'outputs/{name}.bin').write_bytes(b'net')\n"
        "    for _ in range(2):\n"
        "        run.register_model(name, f'outputs/{name}.bin', tags={'a': 1}, description='d')\n"
        "with run.child_run('fold') as child:\n"
        "    child.upload_file('aside/fold.bin', 'outputs/net.bin')\n    child.register_model('fold', 'aside')\n"
        "Path('outputs/gone.bin').unlink()\n"
    )
    run = experiment.submit(ScriptRunConfig(project, "ask.py"))
    details = run.wait_for_completion()
    models = {model.id: model for model in Model.list(experiment.workspace)}
    assert models.keys() == {"net:1", "fold:1"} and models["net:1"].run_id == run.id
    assert (models["net:1"].tags, models["net:1"].description) == ({"a": "1"}, "d")
    assert models["fold:1"].run_id == next(run.get_children()).id
    assert "model gone was not registered: the run has no outputs/gone.bin" in str(details["warnings"])
