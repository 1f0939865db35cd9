"""A script for a job: the ways in which MLflow's own tests use its tracking API, each of which must hold here too.

Run by test_idioms.py under several versions of MLflow; what a version does not have is left out by `needs`.
"""

from __future__ import annotations

import inspect
import math
import os
import sys
import threading
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunStatus, RunTag, ViewType
from mlflow.exceptions import MlflowException

RUN_ID = os.environ["AZUREML_RUN_ID"]  # `start_run` removes MLFLOW_RUN_ID.


def needs(function: Any, name: str) -> bool:
    """Whether this version's `function` takes an argument of that name."""
    return name in inspect.signature(function).parameters


def fresh() -> str:
    """A run of its own for a test; the job's own was adopted at the beginning."""
    with mlflow.start_run() as run:
        return str(run.info.run_id)


def test_start_run_context_ends_the_run() -> None:
    with mlflow.start_run() as run:
        assert mlflow.active_run().info.run_id == run.info.run_id
        assert mlflow.get_run(run.info.run_id).info.status == "RUNNING"
    assert mlflow.active_run() is None
    assert mlflow.last_active_run().info.run_id == run.info.run_id
    assert mlflow.get_run(run.info.run_id).info.status == "FINISHED"
    assert mlflow.get_run(run.info.run_id).info.end_time >= run.info.start_time


def test_start_run_context_of_an_exception_fails_the_run() -> None:
    with pytest.raises(KeyError), mlflow.start_run() as run:
        raise KeyError
    assert mlflow.get_run(run.info.run_id).info.status == "FAILED"


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED"])
def test_end_run_says_how(status: str) -> None:
    run = mlflow.start_run()
    mlflow.end_run(status)
    assert mlflow.get_run(run.info.run_id).info.status == status


def test_second_start_run_needs_nested() -> None:
    with mlflow.start_run(), pytest.raises(Exception, match="already active"):
        mlflow.start_run()


def test_start_existing_run_goes_on() -> None:
    run_id = fresh()
    with mlflow.start_run(run_id=run_id) as again:
        assert again.info.run_id == run_id
        assert mlflow.get_run(run_id).info.status == "RUNNING"
        mlflow.log_metric("more", 1)
    assert mlflow.get_run(run_id).info.status == "FINISHED"
    assert mlflow.get_run(run_id).data.metrics == {"more": 1.0}


def test_nested_runs_know_their_parents() -> None:
    with mlflow.start_run() as top, mlflow.start_run(nested=True) as middle, mlflow.start_run(nested=True) as low:
        pass
    tags = [mlflow.get_run(run.info.run_id).data.tags["mlflow.parentRunId"] for run in (low, middle, top)]
    assert tags == [middle.info.run_id, top.info.run_id, RUN_ID]
    assert mlflow.get_parent_run(low.info.run_id).info.run_id == middle.info.run_id


@pytest.mark.skipif(not needs(mlflow.start_run, "parent_run_id"), reason="not in this version")
def test_start_run_with_a_parent() -> None:
    parent = fresh()
    with mlflow.start_run(parent_run_id=parent) as run:
        pass
    assert mlflow.get_run(run.info.run_id).data.tags["mlflow.parentRunId"] == parent


def test_run_name_tags_and_description() -> None:
    with mlflow.start_run(run_name="named", tags={"a": "b"}, description="about") as run:
        pass
    found = mlflow.get_run(run.info.run_id)
    assert (found.info.run_name, found.data.tags["mlflow.runName"]) == ("named", "named")
    assert (found.data.tags["a"], found.data.tags["mlflow.note.content"]) == ("b", "about")
    MlflowClient().update_run(run.info.run_id, name="other")
    assert mlflow.get_run(run.info.run_id).info.run_name == "other"
    MlflowClient().set_tag(run.info.run_id, "mlflow.runName", "third")
    assert mlflow.get_run(run.info.run_id).info.run_name == "third"


def test_metrics_and_history() -> None:
    client, run_id = MlflowClient(), fresh()
    for value, step in ((1.0, 0), (2.0, 1), (30.0, 0)):
        client.log_metric(run_id, "m", value, timestamp=100 + step, step=step)
    client.log_metric(run_id, "m", float("nan"), timestamp=200, step=-1)
    history = client.get_metric_history(run_id, "m")
    assert [(metric.timestamp, metric.step) for metric in history] == [(100, 0), (101, 1), (100, 0), (200, -1)]
    assert math.isnan(history[-1].value)
    assert client.get_run(run_id).data.metrics["m"] == 2.0
    assert client.get_metric_history(run_id, "none") == []


def test_batches() -> None:
    client, run_id = MlflowClient(), fresh()
    client.log_batch(run_id, [Metric("a", 1.5, 1, 0)], [Param("p", "1")], [RunTag("t", "2")])
    data = client.get_run(run_id).data
    assert (data.metrics, data.params, data.tags["t"]) == ({"a": 1.5}, {"p": "1"}, "2")
    client.log_batch(run_id, [Metric("b", n, n, n) for n in range(1000)])
    assert len(client.get_metric_history(run_id, "b")) == 1000
    with mlflow.start_run(run_id=run_id):
        mlflow.log_params({f"p{n}": n for n in range(150)})
        mlflow.log_metrics({"x": 1, "y": 2}, step=3)
        mlflow.set_tags({"u": 1, "v": None})
    found = client.get_run(run_id).data
    assert len(found.params) == 151
    assert (found.metrics["y"], found.tags["u"], found.tags["v"]) == (2.0, "1", "None")


def test_what_is_wrong_is_refused() -> None:
    client, run_id = MlflowClient(), fresh()
    for call in (
        lambda: client.log_metric(run_id, "m", "text"),
        lambda: client.log_metric(run_id, "../m", 1),
        lambda: client.log_metric(run_id, "", 1),
        lambda: client.log_param(run_id, "a//b", 1),
        lambda: client.set_tag(run_id, "x" * 300, 1),
        lambda: client.get_run("no_such_run"),
        lambda: client.log_metric("no_such_run", "m", 1),
        lambda: client.delete_tag(run_id, "none"),
        lambda: client.log_batch(run_id, [], [Param("p", "1"), Param("p", "2")], []),
        lambda: mlflow.start_run(run_id="no_such_run"),
    ):
        with pytest.raises(MlflowException):
            call()
    assert client.get_run(run_id).data.metrics == {}
    assert client.get_run(run_id).data.params == {}


def test_params_do_not_change() -> None:
    client, run_id = MlflowClient(), fresh()
    client.log_param(run_id, "p", 1)
    client.log_param(run_id, "p", "1")
    with pytest.raises(MlflowException, match="Changing param values is not allowed"):
        client.log_param(run_id, "p", 2)


def test_tags_are_set_replaced_and_removed() -> None:
    client, run_id = MlflowClient(), fresh()
    client.set_tag(run_id, "t", "1")
    client.set_tag(run_id, "t", "2")
    assert client.get_run(run_id).data.tags["t"] == "2"
    client.delete_tag(run_id, "t")
    assert "t" not in client.get_run(run_id).data.tags


def test_runs_are_created_ended_deleted_by_a_client() -> None:
    client = MlflowClient()
    experiment = client.get_run(RUN_ID).info.experiment_id
    run = client.create_run(experiment, start_time=5, tags={"x": "y"}, run_name="made")
    assert (run.info.run_name, run.data.tags["x"], run.info.status) == ("made", "y", "RUNNING")
    client.set_terminated(run.info.run_id, RunStatus.to_string(RunStatus.KILLED))
    assert client.get_run(run.info.run_id).info.status == "KILLED"
    client.delete_run(run.info.run_id)
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "deleted"
    assert run.info.run_id not in {found.info.run_id for found in client.search_runs([experiment])}
    deleted = client.search_runs([experiment], run_view_type=ViewType.DELETED_ONLY)
    assert [found.info.run_id for found in deleted] == [run.info.run_id]
    client.restore_run(run.info.run_id)
    assert client.get_run(run.info.run_id).info.lifecycle_stage == "active"


def test_runs_are_searched_ordered_and_paged() -> None:
    client = MlflowClient()
    experiment = client.get_run(RUN_ID).info.experiment_id
    for number in range(5):
        with mlflow.start_run(tags={"searched": "yes"}):
            mlflow.log_metric("rank", number)
            mlflow.log_param("even", number % 2 == 0)
    wanted = "tags.searched = 'yes' and metrics.rank > 0"
    first = client.search_runs([experiment], wanted, max_results=3, order_by=["metrics.rank DESC"])
    rest = client.search_runs(
        [experiment], wanted, max_results=3, order_by=["metrics.rank DESC"], page_token=first.token
    )
    assert [run.data.metrics["rank"] for run in (*first, *rest)] == [4, 3, 2, 1]
    assert rest.token is None
    table = mlflow.search_runs([experiment], wanted + " and params.even = 'True'")
    assert isinstance(table, pd.DataFrame)
    assert sorted(table["metrics.rank"]) == [2, 4]
    assert set(table["status"]) == {"FINISHED"}


def test_experiments_are_the_jobs() -> None:
    client = MlflowClient()
    name = "digits"
    assert mlflow.set_experiment("mine").name == name
    assert client.get_experiment(client.create_experiment("other")).name == name
    assert mlflow.get_experiment_by_name("third").name == name
    assert [found.name for found in mlflow.search_experiments()] == [name]
    with mlflow.start_run(experiment_id=client.get_experiment_by_name("x").experiment_id) as run:
        pass
    assert run.info.experiment_id == client.get_run(RUN_ID).info.experiment_id


def test_artifacts(tmp_path: Path) -> None:
    (tmp_path / "folder" / "in").mkdir(parents=True)
    (tmp_path / "folder" / "a.txt").write_text("a")
    (tmp_path / "folder" / "in" / "b.txt").write_text("b")
    with mlflow.start_run() as run:
        mlflow.log_artifact(str(tmp_path / "folder" / "a.txt"))
        mlflow.log_artifacts(str(tmp_path / "folder"), "all")
        mlflow.log_dict({"k": [1]}, "d/x.json")
        mlflow.log_table({"c": [1, 2]}, "t.json")
        mlflow.log_table({"c": [3]}, "t.json")
        uri = mlflow.get_artifact_uri("all/a.txt")
    client, run_id = MlflowClient(), run.info.run_id
    assert sorted(file.path for file in client.list_artifacts(run_id)) == ["a.txt", "all", "d", "t.json"]
    assert sorted(file.path for file in client.list_artifacts(run_id, "all")) == ["all/a.txt", "all/in"]
    assert mlflow.artifacts.load_text(uri) == "a"
    assert mlflow.artifacts.load_dict(f"runs:/{run_id}/d/x.json") == {"k": [1]}
    local = mlflow.artifacts.download_artifacts(run_id=run_id, artifact_path="all", dst_path=str(tmp_path / "to"))
    assert (Path(local) / "in" / "b.txt").read_text() == "b"
    assert list(mlflow.load_table("t.json", run_ids=[run_id])["c"]) == [1, 2, 3]


def test_figures_and_images() -> None:
    numpy, figures = pytest.importorskip("numpy"), pytest.importorskip("matplotlib.figure")
    with mlflow.start_run() as run:
        figure = figures.Figure()
        figure.subplots().plot([1, 2])
        mlflow.log_figure(figure, "plots/f.png")
        mlflow.log_image(numpy.zeros((4, 4, 3), dtype="uint8"), "i.png")
        if needs(mlflow.log_image, "key"):
            mlflow.log_image(numpy.zeros((4, 4, 3), dtype="uint8"), key="seen", step=1)
            mlflow.flush_artifact_async_logging()
    found = {file.path for file in MlflowClient().list_artifacts(run.info.run_id)}
    assert {"plots", "i.png"} <= found


@pytest.mark.skipif(not needs(mlflow.log_metric, "synchronous"), reason="not in this version")
def test_asynchronous_logging() -> None:
    with mlflow.start_run() as run:
        waits = [mlflow.log_metric("a", n, step=n, synchronous=False) for n in range(50)]
        mlflow.log_params({"p": 1}, synchronous=False)
        mlflow.set_tag("t", "1", synchronous=False)
        for one in waits:
            one.wait()
        if hasattr(mlflow, "flush_async_logging"):
            mlflow.flush_async_logging()
    found = mlflow.get_run(run.info.run_id).data
    assert (found.metrics["a"], found.params["p"], found.tags["t"]) == (49, "1", "1")


def test_data_sets() -> None:
    with mlflow.start_run() as run:
        data = mlflow.data.from_pandas(pd.DataFrame({"x": [1, 2]}), source="file.csv", name="numbers")
        mlflow.log_input(data, context="training")
    (found,) = mlflow.get_run(run.info.run_id).inputs.dataset_inputs
    assert (found.dataset.name, [(tag.key, tag.value) for tag in found.tags]) == (
        "numbers",
        [("mlflow.data.context", "training")],
    )


def test_models_are_logged_loaded_and_registered() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    model = linear.LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
    with mlflow.start_run() as run:
        keyword = "name" if needs(mlflow.sklearn.log_model, "name") else "artifact_path"
        info = mlflow.sklearn.log_model(model, **{keyword: "model"}, input_example=[[0.5]])
    assert mlflow.pyfunc.load_model(info.model_uri).predict([[0.5]]) == pytest.approx([0.5])
    assert mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/model").predict([[1.0]]) == pytest.approx([1.0])
    assert str(mlflow.register_model(info.model_uri, "line").version) == "1"


def test_threads_have_runs_of_their_own() -> None:
    found: list[str] = []

    def work(number: int) -> None:
        with mlflow.start_run(nested=True) as run:
            mlflow.log_metric("n", number)
            found.append(run.info.run_id)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(mlflow.get_run(run_id).data.metrics["n"] for run_id in found) == [0, 1, 2, 3]


def test_run_of_the_job_is_told_by_the_environment() -> None:
    assert mlflow.get_tracking_uri() == os.environ["MLFLOW_TRACKING_URI"]
    own = mlflow.get_run(RUN_ID)
    assert (own.info.status, own.data.metrics) == ("RUNNING", {"bare": 1.0})


if __name__ == "__main__":
    mlflow.log_metric("bare", 1)  # As scripts do: without start_run.
    assert mlflow.active_run().info.run_id == RUN_ID
    mlflow.end_run()
    sys.exit(pytest.main(["-q", "-rs", "-p", "no:cacheprovider", "-W", "ignore", __file__, *sys.argv[1:]]))
