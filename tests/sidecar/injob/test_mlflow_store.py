"""A script that logs to MLflow lands on the job's run: by a real MLflow, of the oldest and the newest version."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doubles.mlflow_lab import RUN_ID, Job, run_job

pytestmark = [pytest.mark.mlflow, pytest.mark.timeout(300)]

FLUENT = """
import mlflow
from mlflow import MlflowClient
client = MlflowClient()
mlflow.set_experiment("somebody else's")
with mlflow.start_run(tags={"a": "b"}) as own:
    mlflow.log_metric("loss", 0.5, step=1)
    mlflow.log_metric("loss", float("nan"), step=2)
    mlflow.log_metrics({"x": 1, "y": 2.5}, step=3)
    mlflow.log_params({"lr": 0.1, "n": 3})
    try: mlflow.log_param("lr", 0.2)
    except mlflow.exceptions.MlflowException as error: refusal = str(error)
    mlflow.set_tag("gone", "soon")
    mlflow.delete_tag("gone")
    mlflow.set_tag("mlflow.note.content", "a remark")
    mlflow.log_text("hello", "notes/a.txt")
    with mlflow.start_run(nested=True, run_name="kid") as kid:
        mlflow.log_metric("k", 1)
        mlflow.log_text("from a child", "b.txt")
with mlflow.start_run() as second:
    mlflow.log_metric("s", 2)
try:
    with mlflow.start_run() as third: raise KeyError
except KeyError: pass
found = client.get_run(own.info.run_id)
show(
    own=own.info.run_id, kid=kid.info.run_id, second=second.info.run_id, third=third.info.run_id, refusal=refusal,
    status=found.info.status, metrics={k: str(v) for k, v in found.data.metrics.items()}, params=found.data.params,
    tags=found.data.tags, history=[(str(m.value), m.step) for m in client.get_metric_history(own.info.run_id, "loss")],
    statuses=[client.get_run(run.info.run_id).info.status for run in (kid, second, third)],
    parents=[client.get_run(run.info.run_id).data.tags["mlflow.parentRunId"] for run in (kid, second, third)],
    files=[file.path for file in client.list_artifacts(own.info.run_id)],
    hits=len(mlflow.search_runs(filter_string="metrics.k > 0", output_format="list")),
)
"""


@pytest.fixture(scope="module", params=["mlflow_oldest", "mlflow_newest"])
def python(request: pytest.FixtureRequest) -> Path:
    """The interpreter of an environment with MLflow."""
    found: Path = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def fluent(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """What the script above left."""
    return run_job(python, tmp_path_factory.mktemp("fluent"), FLUENT)


def test_metrics_are_the_records_of_run_log(fluent: Job) -> None:
    """A metric is the same record that `Run.log` writes, with MLflow's time beside it; NaN is marked."""
    first, second, *_ = fluent.of_kind("scalar")
    assert list(first) == ["w", "n", "t", "name", "value", "step", "kind", "at"]
    assert (first["name"], first["value"], first["step"]) == ("loss", 0.5, 1)
    assert (second["value"], second["f"]) == ("NaN", 1)
    assert {record["w"] for record in fluent.records} == {first["w"]}
    assert [record["n"] for record in fluent.records] == list(range(len(fluent.records)))


def test_params_tags_and_details_are_records(fluent: Job) -> None:
    """Parameters and tags are texts; a note is the run's description; what is refused leaves no record."""
    assert {record["name"]: record["value"] for record in fluent.of_kind("param")} == {"lr": "0.1", "n": "3"}
    assert "Changing param values is not allowed" in fluent.output["refusal"]
    assert {record["name"] for record in fluent.of_kind("tag")} == {"a", "gone"}
    assert [record["name"] for record in fluent.of_kind("tag_removed")] == ["gone"]
    assert ("description", "a remark") in [(record["name"], record["value"]) for record in fluent.of_kind("detail")]


def test_first_run_is_the_jobs_and_later_ones_are_children(fluent: Job) -> None:
    """`start_run` attaches to the job's run once, whatever the experiment; then it makes child runs."""
    assert fluent.output["own"] == RUN_ID
    assert fluent.output["parents"] == [RUN_ID] * 3
    kid, second, third = fluent.of_kind("child")
    assert [fluent.output[name] for name in ("kid", "second", "third")] == [kid["r"], second["r"], third["r"]]
    assert (kid["value"], kid["parent"], kid["origin"]) == ("kid", RUN_ID, "mlflow")
    ended = [(record["r"], record["status"]) for record in fluent.of_kind("status")]
    assert ended == [(kid["r"], "Completed"), (second["r"], "Completed"), (third["r"], "Failed")]


def test_script_does_not_end_the_jobs_run(fluent: Job) -> None:
    """`end_run` leaves the job's own run Running: its processes decide; child runs end."""
    assert fluent.output["status"] == "RUNNING"
    assert fluent.output["statuses"] == ["FINISHED", "FINISHED", "FAILED"]


def test_what_was_logged_reads_back_in_the_job(fluent: Job) -> None:
    """get_run, get_metric_history, search_runs and list_artifacts answer from the records."""
    output = fluent.output
    assert output["metrics"] == {"loss": "nan", "x": "1.0", "y": "2.5"}
    assert output["params"] == {"lr": "0.1", "n": "3"}
    assert output["tags"]["a"] == "b"
    assert "gone" not in output["tags"]
    assert output["history"] == [["0.5", 1], ["nan", 2]]
    assert (output["files"], output["hits"]) == (["notes"], 1)


def test_files_lie_where_the_format_says(fluent: Job) -> None:
    """Artifacts lie below `artifacts/`, those of a child below its own folder."""
    assert (fluent.run.root / "artifacts" / "notes" / "a.txt").read_text() == "hello"
    child = fluent.run.child(fluent.output["kid"])
    assert (child.root / "artifacts" / "b.txt").read_text() == "from a child"


def test_a_client_alone_adopts_the_jobs_run(python: Path, tmp_path: Path) -> None:
    """Lightning's way: an experiment and a run by MlflowClient are the job's; what it says of the end is not taken."""
    source = """
from mlflow import MlflowClient
client = MlflowClient()
experiment = client.get_experiment_by_name("lightning_logs") or client.create_experiment("lightning_logs")
first, second = (client.create_run(experiment.experiment_id, tags={"x": "y"}).info.run_id for _ in range(2))
client.log_batch(first, params=[], metrics=[], tags=[])
client.set_terminated(first, "FINISHED")
show(first=first, second=second, status=client.get_run(first).info.status)
"""
    job = run_job(python, tmp_path, source)
    assert (job.output["first"], job.output["status"]) == (RUN_ID, "RUNNING")
    assert [record["r"] for record in job.of_kind("child")] == [job.output["second"]]


def test_forked_workers_log_too(python: Path, tmp_path: Path) -> None:
    """A forked child process goes on as a writer of its own; nothing is torn, nothing lost."""
    source = """
import os, warnings
import mlflow
warnings.simplefilter("ignore")
run = mlflow.start_run()
client = mlflow.MlflowClient()
def work():
    for number in range(200): client.log_metric(run.info.run_id, "x", number, step=number)
if os.fork() == 0:
    work()
    os._exit(0)
work()
os.wait()
show(count=len(client.get_metric_history(run.info.run_id, "x")))
"""
    job = run_job(python, tmp_path, source)
    assert job.output["count"] == 400
    assert len({(record["w"], record["n"]) for record in job.records}) == len(job.records) == 400


AUTOLOG = """
import mlflow, mlflow.sklearn, numpy
from sklearn.linear_model import LogisticRegression
mlflow.sklearn.autolog()
x = numpy.arange(40.0).reshape(20, 2)
y = numpy.arange(20) % 2
first = LogisticRegression().fit(x, y)
again = LogisticRegression(C=0.5).fit(x, y)
client = mlflow.MlflowClient()
runs = mlflow.search_runs(output_format="list")
children = [run.info.run_id for run in runs if "mlflow.parentRunId" in run.data.tags]
own = client.get_run(children and client.get_run(children[0]).data.tags["mlflow.parentRunId"])
model = mlflow.sklearn.load_model(f"runs:/{own.info.run_id}/model")
registered = mlflow.register_model(f"runs:/{own.info.run_id}/model", "digits")
show(
    own=own.info.run_id, status=own.info.status, params=own.data.params, metrics=own.data.metrics,
    same=bool((model.predict(x) == first.predict(x)).all()), children=children, version=registered.version,
)
"""


def test_sklearn_autolog(mlflow_newest: Path, tmp_path: Path) -> None:
    """Parameters, metrics and the model of the first fit are the job's; a second fit is a child run."""
    job = run_job(mlflow_newest, tmp_path, AUTOLOG)
    assert (job.output["own"], job.output["status"]) == (RUN_ID, "RUNNING")
    assert job.output["params"]["C"] == "1.0"
    assert "training_accuracy_score" in job.output["metrics"]
    assert job.output["same"] is True
    assert len(job.output["children"]) == 1
    assert [record["name"] for record in job.of_kind("model")] == ["digits"]
