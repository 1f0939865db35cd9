"""`mlflow server --backend-store-uri scriptrun:...` shows every run of a workspace, whoever logged it."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.interop.mlflow_address import address_of
from sidecar.contract.layout import RunLayout
from tests.doubles.command import Command
from tests.doubles.mlflow_lab import clean_environment, run_script
from tests.loggers.tracking_server import TrackingServer

pytestmark = [pytest.mark.loggers, pytest.mark.timeout(900)]

OF_RUN = """
from azureml.core import Run
run = Run.get_context()
for number in range(3): run.log("loss", 1 / (number + 1))
run.tag("by", "run")
open("outputs/model.txt", "w").write("m")
"""
OF_MLFLOW = """
import mlflow
with mlflow.start_run():
    mlflow.log_metric("loss", 0.125, step=4)
    mlflow.log_param("lr", 0.1)
    mlflow.log_text("a", "notes/a.txt")
    with mlflow.start_run(nested=True, run_name="kid"): mlflow.log_metric("k", 1)
"""
READING = """
import mlflow
mlflow.set_tracking_uri(ADDRESS)
client = mlflow.MlflowClient()
found = mlflow.search_runs(search_all_experiments=True, order_by=["metrics.loss"], output_format="list")
by_run = mlflow.search_runs(search_all_experiments=True, filter_string="tags.by = 'run'", output_format="list")
show(
    losses=[run.data.metrics.get("loss") for run in found], names=[run.info.run_name for run in found],
    history=[[m.value, m.step] for m in client.get_metric_history(by_run[0].info.run_id, "loss")],
    statuses=sorted({run.info.status for run in found}), params=client.get_run(OTHER).data.params,
)
"""


@pytest.fixture
def runs(tmp_path: Path, newest: Path) -> tuple[RunLayout, RunLayout]:
    """A run that logged by `Run.log`, and one that logged by MLflow."""
    command = Command(tmp_path)
    python = f"{{user_managed_dependencies: true, interpreter_path: {newest}}}"
    for name, script in (("of_run", OF_RUN), ("of_mlflow", OF_MLFLOW)):
        command.write(f"{name}.py", script)
        command.write(f"{name}.yml", f"script: {name}.py\nenvironment: {{python: {python}}}\n")
    first, second = (command.submit(f"{name}.yml", "--show-output") for name in ("of_run", "of_mlflow"))
    return first, second


@pytest.fixture
def server(python: Path, tmp_path: Path, runs: tuple[RunLayout, RunLayout]) -> Iterator[TrackingServer]:
    """`mlflow server` over the workspace of the runs."""
    found = TrackingServer(python, tmp_path, "--backend-store-uri", address_of(runs[0].root.parents[1]))
    found.start()
    yield found
    found.stop()


def ask(server: TrackingServer, path: str, body: dict[str, Any] | None = None, /, **query: str) -> Any:
    """What the server's pages ask it."""
    address = f"{server.address}/{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, sent, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        content = answer.read()
    is_json = "json" in answer.headers.get_content_type()
    return content.replace(b": ", b":") if is_json else content


def test_runs_are_on_the_server(
    server: TrackingServer, python: Path, runs: tuple[RunLayout, RunLayout], tmp_path: Path
) -> None:
    """Clients find, filter and order runs, and read their histories; the pages get what they ask for."""
    own, other = (run.root.name for run in runs)
    source = f"ADDRESS, OTHER = {server.address!r}, {other!r}\n{READING}"
    seen = run_script(python, tmp_path, source, clean_environment())
    assert seen["losses"] == [0.125, pytest.approx(1 / 3), None]
    assert (seen["names"][-1], seen["statuses"], seen["params"]) == ("kid", ["FINISHED"], {"lr": "0.1"})
    assert seen["history"] == [[1.0, 0], [0.5, 1], [pytest.approx(1 / 3), 2]]
    api = "ajax-api/2.0/mlflow"
    assert b"<html" in ask(server, "")
    assert own.encode() in ask(server, f"{api}/runs/search", {"experiment_ids": ["of_run"]})
    assert b'"step":2' in ask(server, f"{api}/metrics/get-history", run_uuid=own, metric_key="loss")
    assert b'"step":2' in ask(server, f"{api}/metrics/get-history-bulk", run_id=own, metric_key="loss")
    assert b"outputs" in ask(server, f"{api}/artifacts/list", run_uuid=own)
    assert ask(server, "get-artifact", run_uuid=own, path="outputs/model.txt") == b"m"
    assert ask(server, "get-artifact", run_uuid=other, path="notes/a.txt") == b"a"
    assert ask(server, f"{api}/model-versions/search", filter=f"run_id='{own}'") is not None
    if "newest" in python.parts:
        interval = {"run_ids": own, "metric_key": "loss", "max_results": "320"}
        assert b'"step":2' in ask(server, f"{api}/metrics/get-history-bulk-interval", **interval)
        assert ask(server, f"{api}/logged-models/search", {"experiment_ids": ["of_run"]}) == b"{}"
        assert ask(server, f"{api}/experiments/search-datasets", {"experiment_ids": ["of_run"]}) == b"{}"
        assert ask(server, "ajax-api/3.0/mlflow/datasets/search", {"experiment_ids": ["of_run"]}) == b"{}"
        query = f"""{{mlflowGetRun(input: {{runId: "{own}"}}) {{run {{info {{status}} experiment {{name}}}}}}}}"""
        page = ask(server, "graphql", {"query": query, "operationName": None, "variables": None})
        assert b"FINISHED" in page
        assert b"errors" not in page or b'"errors":null' in page
