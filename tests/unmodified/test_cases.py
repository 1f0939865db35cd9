"""Scripts in the style of the "run unmodified" cases of azureml-v1.md 7.5, each run as its user would run it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.unmodified.conftest import Project

RUN_NOTEBOOK = Path(__file__).parent / "run_notebook.py"


@pytest.mark.case("local_training")
def test_training_on_this_machine(project: Project) -> None:
    """Metrics of the script, files, and models registered by the notebook and by the job (cases 1 and 2)."""
    printed = project.run("submit.py")
    assert "alpha is 0.50, and mse is" in printed and "When alpha is 0.00, we have min MSE 0.000000." in printed
    assert "Registered sklearn_ridge 1 file://" in printed


@pytest.mark.case("manage_runs")
def test_managing_runs(project: Project) -> None:
    """Starting, tagging, canceling, failing, children, finding again (cases 4 and 5)."""
    printed = project.run("submit.py")
    assert "Running\nCompleted\n" in printed and "Has it completed? Completed" in printed
    assert "{'message': 'Hello from run!'} Completed" in printed and "As expected: UserErrorException" in printed
    assert "{'developer': 'ada', 'quality': '3'} azureml-user" in printed
    assert "Did the run cancel? Canceled" in printed and "Did it fail? True" in printed
    assert "Found again: 1 1 7 12" in printed


@pytest.mark.case("clusters")
def test_a_cluster_is_a_pool_of_this_machine(project: Project) -> None:
    """The idiom of every notebook, with a notice of what stands behind it; both nodes are shown (case 8)."""
    printed = project.run("submit.py")
    assert "AmlCompute cpu-cluster (vm_size STANDARD_D2_V2): there is no cloud behind it." in printed
    assert "Succeeded AmlCompute" in printed and "target cpu-cluster {'alpha': [0.4, 0.4]}" in printed
    assert "local-0" in printed and "local-1" in printed and printed.count("environment myenv") == 2


@pytest.mark.case("environments")
def test_environments(project: Project) -> None:
    """Variables reach a script that knows no azureml; versions are kept and found again (case 9)."""
    printed = project.run("submit.py")
    assert "MESSAGE Hello from Azure Machine Learning of the configuration" in printed
    assert "registered version 2" in printed


@pytest.mark.case("distributed")
def test_pytorch_and_tensorflow_processes(project: Project) -> None:
    """Every process of every node is told its place, and is shown (cases 10 and 12)."""
    printed = project.run("submit.py")
    for rank in range(4):
        assert f"RANK={rank} LOCAL_RANK={rank % 2} WORLD_SIZE=4 NODE_RANK={rank // 2}" in printed
    for task in ("worker 0", "worker 1", "ps 0"):
        assert f"{task} of 2 workers and 1 ps" in printed
    assert "metrics {'Accuracy': 0.5}" in printed


@pytest.mark.mpi
@pytest.mark.case("mpi")
def test_mpi_ranks_on_two_nodes(project: Project) -> None:
    """An allreduce over both, logged by the first (case 11); with the MPI that is beside the tests' own Python."""
    printed = project.run("submit.py", MPI_PYTHON=sys.executable)
    assert "rank 0 of 2 epoch 1 total 3" in printed and "rank 1 of 2 epoch 1 total 3" in printed
    assert "metrics {'total': [1, 3]}" in printed


@pytest.mark.case("tuning")
@pytest.mark.parametrize("sampling", ["random", "bayesian"])
def test_tuning(project: Project, sampling: str) -> None:
    """A sweep, followed on the screen, and the model of its best trial (case 13)."""
    printed = project.run("submit.py", sampling)
    assert "Scheduling job, id='" in printed and "Experiment was COMPLETED" in printed
    assert "['--kernel', '" in printed and "Registered sklearn-iris:1" in printed


@pytest.mark.case("data")
def test_data_in_and_out(project: Project) -> None:
    """Through a datastore into a job and out of it as a data set (case 16)."""
    assert "metrics {'copied': 'iris.csv'}" in project.run("submit.py")


@pytest.mark.tensorboard
@pytest.mark.case("tensorboard")
def test_tensorboard(project: Project) -> None:
    """Runs below a run are exported, and TensorBoard serves them (case 15)."""
    assert "address http://127.0.0.1:" in project.run("submit.py")
    assert len([*(project.folder / "exported").rglob("events.out.tfevents.*")]) == 3


@pytest.mark.notebook
@pytest.mark.case("notebook")
def test_a_notebook(project: Project) -> None:
    """Every cell runs; what it shows of runs is in the saved notebook, also what a run became later (cases 3, 17)."""
    project.run(str(RUN_NOTEBOOK), "logging.ipynb")
    cells = json.loads((project.folder / "logging.ipynb").read_text())["cells"]
    outputs = ["".join(_texts(output)) for cell in cells for output in cell.get("outputs", ())]
    shown = "\n".join(outputs)
    assert "SDK version: 1." in shown and "{'My Tag': 'very important', 'factor': '3'}" in shown
    assert "[1, 1, 2, 3, 5, 8] {'numbers': [0, 1, 4, 9]} Completed content" in shown
    assert "files/uploaded.txt" in shown and "'drawn'" in shown and "'Completed'" in shown
    pages = [page for page in outputs if "<h4>" in page]
    assert len(pages) == 2 and all("Completed" in page for page in pages) and "trained" in pages[0]


def _texts(output: dict[str, Any]) -> list[str]:
    """What one output shows: printed lines, or the richest picture of a value that there is."""
    found = output.get("data") or {"text/plain": output.get("text", "")}
    return list(found.get("text/html") or found["text/plain"])
