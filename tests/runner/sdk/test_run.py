"""Real runs through Experiment.submit and Run."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

from runner.errors import MachineError, NoSuchRunError
from runner.sdk import DockerConfiguration, Experiment, PyTorchConfiguration, Run, ScriptRunConfig, Workspace
from runner.sdk.exceptions import (
    ActivityFailedException,
    ExperimentExecutionException,
    SnapshotException,
    UserErrorException,
)
from sidecar.contract import lock
from tests.runner.sdk.conftest import wait_until

# The controller outlives the submitter by design; `subprocess` warns of every child that is dropped while it runs.
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")


def test_a_run_and_everything_about_it(experiment: Experiment, project: Path, tmp_path: Path) -> None:
    """One run is submitted and waited for; details, files, metrics, tags and properties tell what it did."""
    run = experiment.submit(ScriptRunConfig(project, "train.py", ["log", 3]), tags={"team": "vision"})
    details = run.wait_for_completion(wait_post_processing=True)
    assert (details["runId"], details["status"], details["target"]) == (run.id, "Completed", "local")
    assert details["runDefinition"]["arguments"] == ["log", "3"]
    assert details["startTimeUtc"].endswith("Z")
    assert "error" not in details
    url = urlparse(details["logFiles"]["azureml-logs/70_driver_log.txt"])
    assert Path(unquote(url.path)).read_text() == "arguments ['log', '3']\nfinished\n"
    names = run.get_file_names()
    assert {"outputs/model.bin", "azureml-logs/process_info.json", "logs/azureml/manifest.json"} <= set(names)
    assert not any(name.startswith(".") for name in names)
    assert run.get_metrics() == {"loss": [1.5, 0.5], "best": 0.5}
    assert run.get_metrics("best") == {"best": 0.5}
    assert run.get_tags() == {"team": "vision"}
    assert run.get_snapshot_id() == run.get_properties()["ContentSnapshotId"]
    with_logs = run.get_details_with_logs()
    assert with_logs["logFiles"]["azureml-logs/70_driver_log.txt"].endswith("finished\n")
    assert repr(run) == f"Run(Experiment: digits,\nId: {run.id},\nType: azureml.scriptrun,\nStatus: Completed)"
    _check_downloads(run, tmp_path / "down")
    run.set_tags({"a": "1"})
    run.tag("b")
    run.remove_tags(["team"])
    assert run.get_tags() == {"a": "1", "b": ""}


def _check_downloads(run: Run, folder: Path) -> None:
    run.download_file("outputs/model.bin", folder / "renamed.bin")
    assert (folder / "renamed.bin").read_bytes() == b"model"
    run.download_file("outputs/model.bin", folder)
    assert (folder / "model.bin").read_bytes() == b"model"
    with pytest.raises(UserErrorException, match="was not found,\\\\navailable files include"):
        run.download_file("../run.json")
    run.download_files("outputs/", folder / "all")
    assert (folder / "all" / "outputs" / "model.bin").read_bytes() == b"model"
    run.download_files("outputs", folder / "flat", append_prefix=False)
    assert (folder / "flat" / "model.bin").read_bytes() == b"model"
    paths = run.get_all_logs(folder / "logs")
    assert str(folder / "logs" / "azureml-logs" / "70_driver_log.txt") in paths
    assert all(os.path.isfile(path) for path in paths)
    with pytest.raises(UserErrorException, match="exists and is not a directory"):
        run.get_all_logs(folder / "model.bin")


def test_a_failed_run_raises(experiment: Experiment, project: Path) -> None:
    """Waiting for a failed run raises its error object; without raising, the details hold it."""
    run = experiment.submit(ScriptRunConfig(project, "train.py", ["raise"]))
    with pytest.raises(ActivityFailedException) as caught:
        run.wait_for_completion()
    error = json.loads(caught.value.message.removeprefix("Activity Failed:\n"))["error"]
    assert (error["code"], error["message"]) == ("UserError", "User program failed with ValueError: bad batch")
    assert "raise ValueError" in error["debugInfo"]["stackTrace"]
    assert run.wait_for_completion(raise_on_error=False)["error"]["error"] == error
    assert "ValueError" in run.get_detailed_status()["details"]


def test_an_exit_code_is_a_system_exit(experiment: Experiment, project: Path) -> None:
    """As v1 tells it."""
    run = experiment.submit(ScriptRunConfig(project, "train.py", ["exit"]))
    details = run.wait_for_completion(raise_on_error=False)
    assert details["error"]["error"]["message"] == "User program failed with SystemExit: 3"


def test_submit_with_show_output(experiment: Experiment, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every line of every node is printed once, then the summary; the run is returned though it failed."""
    two_nodes = PyTorchConfiguration("Gloo", 2, 2)
    run = experiment.submit(ScriptRunConfig(project, "train.py", distributed_job_config=two_nodes), show_output=True)
    shown = capsys.readouterr().out
    assert shown.startswith(f"RunId: {run.id}\nWeb View: file://")
    assert shown.count("| finished\n") == 2
    assert "local-0:prep" in shown and "local-1:prep" in shown
    assert shown.endswith(f"\nExecution Summary\n=================\nRunId: {run.id}\nWeb View: {_url(run)}\n\n")
    failed = experiment.submit(ScriptRunConfig(project, "train.py", ["raise"]), show_output=True)
    assert failed.get_status() == "Failed"
    assert '\nError:\n{\n    "error": {' in capsys.readouterr().out


def _url(run: Run) -> str:
    return run.get_portal_url()


def test_ctrl_c_leaves_the_run_running(experiment: Experiment, project: Path, tmp_path: Path) -> None:
    """Interrupted while streaming, the run goes on, and v1's exception says so."""
    run = experiment.submit(ScriptRunConfig(project, "train.py", ["wait", tmp_path / "go"]))
    wait_until(lambda: run.get_status() == "Running")
    with pytest.raises(ExperimentExecutionException, match="The output streaming for the run interrupted"):
        _interrupt_streaming(run)
    assert run.get_status() == "Running"
    (tmp_path / "go").touch()
    assert run.wait_for_completion()["status"] == "Completed"


def _interrupt_streaming(run: Run) -> None:
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        run.wait_for_completion(show_output=True)
    finally:
        signal.signal(signal.SIGALRM, previous)


def test_cancel(experiment: Experiment, project: Path, tmp_path: Path) -> None:
    """A canceled run ends as Canceled, which is no error; canceling it again changes nothing."""
    run = experiment.submit(ScriptRunConfig(project, "train.py", ["wait", tmp_path / "never"]))
    wait_until(lambda: run.get_status() == "Running")
    run.cancel()
    details = run.wait_for_completion(wait_post_processing=True)
    assert details["status"] == "Canceled"
    run.cancel()
    assert run.get_status() == "Canceled"


def test_waiting_resumes_a_run_without_controller(experiment: Experiment, project: Path, tmp_path: Path) -> None:
    """A run whose controller was killed is given another one by whoever waits for it."""
    run = experiment.submit(ScriptRunConfig(project, "train.py", ["wait", tmp_path / "go"]))
    wait_until(lambda: run.get_status() == "Running")
    controller = lock.holder(run.layout.controller_lock)
    assert controller is not None
    os.kill(controller.pid, signal.SIGKILL)
    wait_until(lambda: lock.holder(run.layout.controller_lock) is None)
    (tmp_path / "go").touch()
    assert run.wait_for_completion()["status"] == "Completed"


def test_runs_are_found_again(experiment: Experiment, workspace: Workspace, project: Path) -> None:
    """By id, by experiment newest first, by tag; never under another experiment."""
    runs = [experiment.submit(ScriptRunConfig(project, "train.py"), tags={"n": str(n)}) for n in range(2)]
    for run in runs:
        run.wait_for_completion()
    assert [run.id for run in experiment.get_runs()] == [runs[1].id, runs[0].id]
    assert [run.id for run in experiment.get_runs(tags={"n": "0"})] == [runs[0].id]
    assert [run.id for run in Run.list(experiment, tags="n", status="Failed")] == []
    assert Run.get(workspace, runs[0].id).experiment.name == "digits"
    assert Run(experiment, runs[0].id).get_status() == "Completed"
    assert list(workspace.experiments) == ["digits"]
    with pytest.raises(NoSuchRunError, match="the experiment other has no run"):
        Run(Experiment(workspace, "other"), runs[0].id)


def test_run_id_may_be_chosen(experiment: Experiment, project: Path) -> None:
    """In the form that every run id has, and only once."""
    run = experiment.submit(ScriptRunConfig(project, "train.py"), run_id="digits_1700000000_0123abcd")
    assert run.id == "digits_1700000000_0123abcd"
    run.wait_for_completion()
    for taken in (run.id, "mine", "../digits_1700000000_0123abcd", "other_1700000000_0123abcd"):
        with pytest.raises(UserErrorException):
            experiment.submit(ScriptRunConfig(project, "train.py"), run_id=taken)


def test_what_cannot_be_submitted_creates_nothing(
    experiment: Experiment, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each mistake has its exception, and the workspace stays without a run."""
    (project / "away").symlink_to("/etc/hostname")
    with pytest.raises(SnapshotException):
        experiment.submit(ScriptRunConfig(project, "train.py"))
    with pytest.raises(ExperimentExecutionException, match="script path doesn't exist"):
        experiment.submit(ScriptRunConfig(project, "nothing.py"))
    with pytest.raises(UserErrorException, match="compute target"):
        experiment.submit(ScriptRunConfig(project, "train.py", compute_target="gpu"))
    with pytest.raises(UserErrorException, match="takes a ScriptRunConfig"):
        experiment.submit("train.py")  # type: ignore[arg-type]  # that is the test
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        experiment.submit(ScriptRunConfig(project, "train.py"), shaw_output=True)  # type: ignore[call-arg]
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere")
    with pytest.raises(MachineError, match="no Docker engine"):
        experiment.submit(ScriptRunConfig(project, "train.py", docker_runtime_config=DockerConfiguration(True)))
    assert list(experiment.get_runs()) == []


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "a" * 256])
def test_experiment_names_are_those_of_v1(workspace: Workspace, name: str) -> None:
    """1 to 255 letters, digits, `_`, `-`; the first a letter or digit."""
    with pytest.raises(UserErrorException, match="Invalid experiment name"):
        Experiment(workspace, name)


def test_context_outside_a_job_only_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """Run.get_context is the in-job API's offline run, which prints what it would log."""
    run = Run.get_context()
    assert run.id.startswith("OfflineRun")
    run.log("loss", 0.5)
    assert capsys.readouterr().out == "Attempted to log scalar metric loss:\n0.5\n"
