"""Datastores and data sets, and how a job is given them."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.sdk import Dataset, Datastore, Experiment, OutputFileDatasetConfig, ScriptRunConfig, Workspace
from runner.sdk.data.job_data import JobData
from runner.sdk.data.reference import DataPath, DataReference
from runner.sdk.exceptions import UserErrorException

SCRIPT = """\
import os, sys
from azureml.core import Run
run = Run.get_context()
print("argument", open(os.path.join(sys.argv[1], "a.csv")).read())
print("named", run.input_datasets["digits"] == sys.argv[1])
print("reference", os.path.isfile(sys.argv[2]))
with open(os.path.join(sys.argv[3], "made.txt"), "w") as made:
    made.write(run.id)
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with two files."""
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.csv").write_text("x,y\n1,2\n")
    (folder / "deep" / "b.csv").write_text("x,y\n3,4\n")
    return folder


def test_the_default_datastore_is_a_folder(workspace: Workspace, data: Path, tmp_path: Path) -> None:
    """What is uploaded lies there, once; and comes back."""
    store = workspace.get_default_datastore()
    store.upload_files([str(data / "a.csv")], target_path="raw", overwrite=True)
    store.upload(str(data), "all")
    assert (Path(store.root) / "raw" / "a.csv").read_text() == "x,y\n1,2\n"
    assert store.download(str(tmp_path / "back"), prefix="all") == 2
    assert (store.name, Datastore.get(workspace, store.name).root) == ("workspaceblobstore", store.root)
    with pytest.raises(UserErrorException, match="no datastore 'other'"):
        Datastore.get(workspace, "other")


def test_a_datastore_of_ones_own(workspace: Workspace, data: Path) -> None:
    """A folder under a name; it can be made the default."""
    Datastore.register(workspace, "mine", data).set_as_default()
    assert workspace.get_default_datastore().name == "mine" and "mine" in workspace.datastores
    files = Dataset.File.from_files((workspace.get_default_datastore(), "deep"))
    assert files.to_path() == ["/b.csv"]


def test_files_by_folder_pattern_and_list(workspace: Workspace, data: Path, tmp_path: Path) -> None:
    """Names are relative to the folder that was given; what is not there is refused."""
    assert Dataset.File.from_files(str(data)).to_path() == ["/a.csv", "/deep/b.csv"]
    assert Dataset.File.from_files(str(data / "**" / "*.csv")).to_path() == ["/a.csv", "/deep/b.csv"]
    assert Dataset.File.from_files([str(data / "a.csv"), str(data / "deep")]).to_path() == ["/a.csv", "/b.csv"]
    assert Dataset.File.from_files(str(data)).skip(1).to_path() == ["/deep/b.csv"]
    copies = Dataset.File.from_files(str(data)).download(str(tmp_path / "copy"))
    assert Path(copies[1]).read_text() == "x,y\n3,4\n"
    with Dataset.File.from_files(str(data)).mount() as mounted:
        assert (Path(mounted.mount_point) / "deep" / "b.csv").is_file()
    assert not Path(mounted.mount_point).exists()
    with pytest.raises(UserErrorException, match="There are no files"):
        Dataset.File.from_files(str(data / "nothing"))


def test_definitions_are_registered_in_versions(workspace: Workspace, data: Path) -> None:
    """The same again keeps its version; another one must say that it is new."""
    files = Dataset.File.from_files(str(data)).register(workspace, "digits", tags={"a": 1})
    assert (files.name, files.version, files.tags) == ("digits", 1, {"a": "1"})
    assert Dataset.File.from_files(str(data)).register(workspace, "digits").version == 1
    other = Dataset.Tabular.from_delimited_files(str(data / "a.csv"))
    with pytest.raises(UserErrorException, match="create_new_version"):
        other.register(workspace, "digits")
    assert other.register(workspace, "digits", create_new_version=True).version == 2
    assert Dataset.get_by_name(workspace, "digits", version=1).to_path() == ["/a.csv", "/deep/b.csv"]
    assert Dataset.get_by_id(workspace, files.id).version == 1
    assert workspace.datasets["digits"].version == 2


def test_an_address_needs_fsspec_only_when_it_is_read(workspace: Workspace) -> None:
    """Making the data set asks nobody; reading it tells what is missing, or why it failed."""
    files = Dataset.File.from_files("nosuch://bucket/a.csv")
    with pytest.raises(UserErrorException, match=r"nosuch://bucket/a\.csv"):
        files.to_path()


def test_a_job_is_given_paths(experiment: Experiment, project: Path, data: Path) -> None:
    """A data set, a reference in a text, and a folder to write to, which is a data set afterwards."""
    (project / "data.py").write_text(SCRIPT)
    store = Datastore.register(experiment.workspace, "mine", data)
    output = OutputFileDatasetConfig(name="made", destination=(store, "out/{run-id}")).register_on_complete("made")
    reference = DataReference(store, "file", "a.csv")
    files = Dataset.File.from_files(str(data))
    config = ScriptRunConfig(
        project, "data.py", [files.as_named_input("digits").as_mount(), str(reference), output.as_mount()]
    )
    config.run_config.data_references = {reference.data_reference_name: reference.to_config()}
    run = experiment.submit(config)
    details = run.wait_for_completion()
    log = run.get_details_with_logs()["logFiles"]["azureml-logs/70_driver_log.txt"]
    assert "argument x,y" in log and "named True" in log and "reference True" in log, log
    assert (data / "out" / run.id / "made.txt").read_text() == run.id
    assert Dataset.get_by_name(experiment.workspace, "made").to_path() == ["/made.txt"]
    assert details["status"] == "Completed"


def test_one_file_is_its_own_path(experiment: Experiment, project: Path, data: Path) -> None:
    """`as_mount()` of a single file gives the file, not its folder."""
    files = Dataset.File.from_files(str(data / "a.csv"))
    config = ScriptRunConfig(project, "train.py", [files.as_named_input("one").as_mount()])
    run = experiment.submit(config)
    run.wait_for_completion()
    assert run.get_details()["runDefinition"]["arguments"] == [str(data / "a.csv")]


def test_what_cannot_be_given_is_refused(experiment: Experiment, project: Path, data: Path) -> None:
    """A data set without a name; a name that no variable can have."""
    files = Dataset.File.from_files(str(data))
    with pytest.raises(UserErrorException, match="as_named_input"):
        experiment.submit(ScriptRunConfig(project, "train.py", [files]))
    with pytest.raises(UserErrorException, match="Invalid name"):
        files.as_named_input("not a name")
    assert list(experiment.get_runs()) == []


def test_resume_from_is_an_argument(experiment: Experiment, project: Path, data: Path) -> None:
    """A former run's files reach the script as v1 hands them on."""
    place = DataPath(Datastore.register(experiment.workspace, "mine", data), "deep")
    run = experiment.submit(ScriptRunConfig(project, "train.py", ["a"], resume_from=place))
    run.wait_for_completion()
    assert run.get_details()["runDefinition"]["arguments"] == ["a", "--resume-from", str(data / "deep")]


def test_addresses_are_opened_by_fsspec(experiment: Experiment, project: Path, data: Path, tmp_path: Path) -> None:
    """Files, tables and datastores at an address; a job is given a path, fetched once for the workspace."""
    pytest.importorskip("fsspec")
    workspace, address = experiment.workspace, f"local://{data}"
    store = Datastore.register(workspace, "far", address)
    assert Dataset.File.from_files((store, "deep/b.csv")).to_path() == ["/b.csv"]
    table = Dataset.Tabular.from_delimited_files(f"{address}/a.csv")
    assert table.to_pandas_dataframe()["y"].tolist() == [2]
    store.upload_files([str(data / "a.csv")], target_path="sent")
    assert (data / "sent" / "a.csv").read_text() == "x,y\n1,2\n"
    assert store.download(str(tmp_path / "back"), prefix="deep") == 1
    (project / "read.py").write_text("import sys\nprint('read', open(sys.argv[1]).read(), open(sys.argv[2]).read())\n")
    files = Dataset.File.from_files(f"{address}/deep/b.csv").as_named_input("far").as_download()
    run = experiment.submit(ScriptRunConfig(project, "read.py", [files, table.as_named_input("table")]))
    assert run.wait_for_completion()["status"] == "Completed"
    assert "read x,y\n3,4\n x,y\n1,2" in run.layout.driver_log(None).read_text()


def test_an_output_goes_to_an_address_once_the_job_has_ended(
    experiment: Experiment, project: Path, tmp_path: Path
) -> None:
    """The script writes a folder as ever; its files are at the address afterwards, and in the run."""
    pytest.importorskip("fsspec")
    (project / "write.py").write_text(
        "import os, sys\nopen(os.path.join(sys.argv[1], 'made.txt'), 'w').write('made')\n"
    )
    store = Datastore.register(experiment.workspace, "far", f"local://{tmp_path}/far")
    output = OutputFileDatasetConfig(name="made", destination=(store, "{run-id}"))
    run = experiment.submit(ScriptRunConfig(project, "write.py", [output.as_upload()]))
    assert run.wait_for_completion()["status"] == "Completed"
    assert (tmp_path / "far" / run.id / "made.txt").read_text() == "made"
    assert "outputs/made/made.txt" in run.get_file_names()


def _taker(workspace: Workspace) -> JobData:
    return JobData(workspace, "run", target="gpus", is_here=False)


def test_on_other_machines_a_job_is_given_variables(workspace: Workspace, data: Path) -> None:
    """A path may be another one on every node: each input is listed, and stands in arguments by a variable."""
    taker, store = _taker(workspace), Datastore.register(workspace, "mine", data)
    files = Dataset.File.from_files(str(data)).as_named_input("digits").as_mount()
    assert taker.take(files) == "$AZUREML_DATAREFERENCE_digits"
    assert taker.take(Dataset.Tabular.from_delimited_files(str(data / "a.csv")).as_named_input("table")).endswith(
        "table"
    )
    reference = DataReference(store, "file", "a.csv")
    assert taker.take(reference) == taker.expand(str(reference)) == "$AZUREML_DATAREFERENCE_file"
    assert taker.take(DataPath(store, "deep")).startswith("$AZUREML_DATAREFERENCE_path_")
    assert taker.take(Dataset.File.from_files(str(data)).skip(1).as_named_input("some").as_download()).endswith("some")
    assert {given.name: given.file_count for given in taker.spec.inputs if given.name[:4] != "path"} == {
        "digits": 2,
        "table": 1,
        "file": 1,
        "some": 1,
    }
    assert dict(taker.variables) == {"AZUREML_DATASET_ENVIRONMENT_VARS": "digits:mount,table:direct,some:download,"}
    assert taker.warnings == []


def test_on_other_machines_outputs_are_brought(workspace: Workspace, data: Path) -> None:
    """The script writes below outputs/ there; where its files are to be is known from the start."""
    taker, store = _taker(workspace), Datastore.register(workspace, "mine", data)
    made = OutputFileDatasetConfig(name="made", destination=(store, "out/{run-id}")).as_upload(overwrite=True)
    assert taker.take(made) == "$AZUREML_DATAREFERENCE_made"
    taker.take(DataReference(store, "up", "sent").as_upload())
    assert [(output.destination, output.overwrites) for output in taker.spec.outputs] == [
        (f"{data}/out/run", True),
        (f"{data}/sent", False),
    ]
    assert taker.spec.to_plan()["outputs"]["made"] == "outputs/made"
    assert taker.variables["AZUREML_DATASET_FILE_OUTPUTS"] == "made"
    with pytest.raises(UserErrorException, match="Invalid name"):
        taker.take(OutputFileDatasetConfig(name="a/b"))


def test_what_is_not_sent_is_told(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not on this machine may be on the others: the path goes as it is. A limit must be a number."""
    taker = _taker(workspace)
    nowhere = DataReference(Datastore.register(workspace, "theirs", "/mnt/theirs"), "theirs")
    assert taker.take(nowhere) == taker.expand(str(nowhere)) == "/mnt/theirs"
    assert "/mnt/theirs is not on this machine, and is not sent" in taker.warnings[0] and not taker.spec.inputs
    monkeypatch.setenv("RUNNER_DATA_LIMIT_MB", "many")
    with pytest.raises(UserErrorException, match="RUNNER_DATA_LIMIT_MB='many'"):
        _ = taker.spec
