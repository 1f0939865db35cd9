"""A workspace through MLflow: every run of it, whoever logged it, by a real MLflow of the oldest and newest version."""

from __future__ import annotations

from typing import Any

import pytest

from runner.history.status import RunStatus
from runner.interop.mlflow_address import address_of
from sidecar.contract.layout import ARTIFACTS, WorkspaceLayout
from tests.doubles.mlflow_lab import clean_environment, run_script
from tests.doubles.run_folders import new_run

pytestmark = [pytest.mark.mlflow, pytest.mark.timeout(300)]

READING = """
import sys, mlflow
from mlflow import MlflowClient
mlflow.set_tracking_uri(ADDRESS)
client = MlflowClient()
runs = mlflow.search_runs(search_all_experiments=True, output_format="list")
top = client.get_run(RUN)
def walk(path=None):
    for file in client.list_artifacts(RUN, path):
        yield from walk(file.path) if file.is_dir else [file.path]
try: client.log_metric(RUN, "x", 1)
except mlflow.exceptions.MlflowException as error: refusal = str(error)
client.set_tag(RUN, "reviewed", "yes")
client.delete_tag(RUN, "team")
client.update_run(RUN, name="renamed")
changed = client.get_run(RUN)
show(
    experiments=[experiment.name for experiment in mlflow.search_experiments()],
    statuses={run.info.run_id: run.info.status for run in runs},
    by_metric=[run.info.run_id for run in mlflow.search_runs(
        experiment_names=["digits"], filter_string="metrics.loss < 1 and params.lr = '0.1'", output_format="list")],
    ordered=[run.data.metrics["loss"] for run in mlflow.search_runs(
        search_all_experiments=True, filter_string="metrics.loss > 0", order_by=["metrics.loss DESC"],
        output_format="list")],
    metrics=top.data.metrics, tags=top.data.tags, params=top.data.params, start=top.info.start_time,
    end=top.info.end_time, history=[(m.value, m.step) for m in client.get_metric_history(RUN, "mine")],
    child=[run.data.tags["mlflow.parentRunId"] for run in runs if run.info.run_name == "kid"],
    files=sorted(walk()), text=mlflow.artifacts.load_text(f"runs:/{RUN}/outputs/model.txt"),
    other=mlflow.artifacts.load_text(top.info.artifact_uri + "/notes/a.txt"),
    refusal=refusal, changed=[changed.data.tags, changed.info.run_name],
)
"""


@pytest.fixture(scope="module", params=["mlflow_oldest", "mlflow_newest"])
def found(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any]]:
    """(run id, what the script above saw) of a workspace with three runs."""
    folder = tmp_path_factory.mktemp("reading")
    workspace = WorkspaceLayout(folder / "my workspace")
    run = new_run(workspace)
    for number in range(3):
        run.metric("mine", number * number, n=number, second=number)
    run.metric("loss", 0.25, n=3, step=7)
    run.metric("lr", "0.1", n=4, kind="param")
    run.metric("color", "red", n=5, kind="tag")
    run.metric("", "kid", n=6, kind="child", r="digits_1790000009_00000009", parent=run.run_id, origin="script")
    run.metric("k", 1, n=7, r="digits_1790000009_00000009")
    for path, text in (("outputs/model.txt", "m"), (f"{ARTIFACTS}/notes/a.txt", "a"), (".state/secret", "no")):
        (run.layout.root / path).parent.mkdir(parents=True, exist_ok=True)
        (run.layout.root / path).write_text(text)
    run.record(RunStatus.COMPLETED, tags={"team": "vision"}, request={"tags": {"team": "vision"}})
    other = new_run(workspace, "other", number=1)
    other.metric("loss", 2.5, n=0)
    other.record(RunStatus.RUNNING)
    new_run(workspace, "other", number=2).record(RunStatus.FAILED)
    source = f"ADDRESS, RUN = {address_of(workspace.root)!r}, {run.run_id!r}\n{READING}"
    return run.run_id, run_script(request.getfixturevalue(request.param), folder, source, clean_environment())


def test_every_run_is_found(found: tuple[str, dict[str, Any]]) -> None:
    """Experiments, runs and child runs are there with their status."""
    run_id, seen = found
    assert sorted(seen["experiments"]) == ["digits", "other"]
    assert seen["statuses"][run_id] == "FINISHED"
    assert sorted(seen["statuses"].values()) == ["FAILED", "FINISHED", "FINISHED", "RUNNING"]
    assert seen["child"] == [run_id]


def test_runs_are_searched_by_what_they_logged(found: tuple[str, dict[str, Any]]) -> None:
    """Filters and orders take metrics and parameters, across experiments."""
    run_id, seen = found
    assert seen["by_metric"] == [run_id]
    assert seen["ordered"] == [2.5, 0.25]


def test_a_run_is_whole(found: tuple[str, dict[str, Any]]) -> None:
    """Metrics of `Run.log` are a curve; tags of the script and of the config, parameters and times are there."""
    _, seen = found
    assert seen["metrics"] == {"mine": 4.0, "loss": 0.25}
    assert seen["history"] == [[0.0, 0], [1.0, 1], [4.0, 2]]
    assert seen["params"] == {"lr": "0.1"}
    assert (seen["tags"]["color"], seen["tags"]["team"], seen["tags"]["mlflow.user"]) == ("red", "vision", "ada")
    assert seen["end"] - seen["start"] == 5000


def test_files_are_listed_and_read(found: tuple[str, dict[str, Any]]) -> None:
    """Artifacts, `outputs/` and the logs are files of the run; what the runner keeps for itself is not."""
    _, seen = found
    assert seen["files"] == ["notes/a.txt", "outputs/model.txt"]
    assert (seen["text"], seen["other"]) == ("m", "a")


def test_a_person_changes_tags_and_name_only(found: tuple[str, dict[str, Any]]) -> None:
    """Tags and the name may be changed; metrics come from jobs."""
    _, seen = found
    assert "from its jobs only" in seen["refusal"]
    tags, name = seen["changed"]
    assert (tags["reviewed"], tags["color"], name) == ("yes", "red", "renamed")
    assert "team" not in tags
