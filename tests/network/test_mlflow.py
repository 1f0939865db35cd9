"""MLflow in jobs on hosts of the lab: what ranks log there is in the run here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.spec.request import PyTorchSpec
from tests.lab.job_python import lab_python
from tests.network.invariants import checked
from tests.network.stage import Stage

pytestmark = [pytest.mark.mlflow, pytest.mark.timeout(900)]  # The first time on a machine, the environment is built.

SOURCE = """
import os, mlflow
rank = os.environ["RANK"]
with mlflow.start_run() as run:
    assert run.info.run_id == os.environ["AZUREML_RUN_ID"]
    mlflow.log_metric("loss_" + rank, 0.5, step=3)
    mlflow.log_text("from " + rank, "notes/" + rank + ".txt")
"""


@pytest.fixture
def python() -> Path:
    """A Python with MLflow; a host sees only what was built before it was switched on."""
    return lab_python("mlflow-skinny")


@pytest.mark.lab(hosts=2)
def test_ranks_of_two_hosts_log_to_one_run(python: Path, stage: Stage) -> None:
    """No rank is told an address, nothing is installed for it: metrics and artifacts of all of them come here."""
    shape = PyTorchSpec(process_count=4, node_count=2)
    run = stage.submit(SOURCE, nodes=2, distributed=shape, interpreter=python)
    run.wait_end(limit_s=120)
    checked(run, started=4)
    logged = {}
    for path in run.run.metrics.glob("*.jsonl"):
        for record in map(json.loads, path.read_text().splitlines()):
            logged[record["name"]] = (path.stem, record["value"], record["step"])
    assert logged == {f"loss_{rank}": (f"rank_{rank}", 0.5, 3) for rank in range(4)}
    notes = run.run.root / "artifacts" / "notes"
    assert {path.name: path.read_text() for path in notes.iterdir()} == {
        f"{rank}.txt": f"from {rank}" for rank in range(4)
    }
