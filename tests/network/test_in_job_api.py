"""What a job on other machines says of its run is in the run: metrics of every rank, tags, files, child runs."""

from __future__ import annotations

import pytest

from runner.history.metrics_file import read_metrics
from runner.history.run_record import read_record
from runner.history.status import RunStatus
from runner.sdk.run_metrics import metrics_below
from tests.network.invariants import checked
from tests.network.stage import Stage

pytestmark = [pytest.mark.lab(hosts=2), pytest.mark.timeout(240)]

_SCRIPT = """
import io
from azureml.core import Run
run, rank = Run.get_context(), os.environ["RANK"]
assert run.tags == {} and run.experiment.name and run.get_properties()["ContentSnapshotId"]
for number in range(1000): run.log("x", number, step=number)
run.tag("rank_" + rank, "was here")
run.upload_file("model/" + rank + ".bin", io.BytesIO(b"weights of " + rank.encode()))
run.upload_file("model/same.bin", io.BytesIO(b"of every rank"))
run.upload_file("outputs/up.txt", io.BytesIO(b"of " + rank.encode()))
with run.child_run("child of " + rank) as child:
    child.log("y", int(rank))
    child.upload_file("notes.txt", io.StringIO("note"))
"""


def test_two_machines(stage: Stage) -> None:
    """Every record and file of both has arrived when the run has ended; of one name the other node's stands aside."""
    run = stage.submit(f"import os{_SCRIPT}", nodes=2)
    run.wait_end()
    checked(run, started=2)
    assert read_record(run.run).tags == {"rank_0": "was here", "rank_1": "was here"}
    metrics = read_metrics(run.run)
    assert len(metrics.by_name()["x"]) == 2000
    assert sorted(points.process_name for points in metrics.parts("x")) == ["rank_0", "rank_1"]
    artifacts = {str(path.relative_to(run.run.root)) for path in run.run.root.glob("artifacts/**/*") if path.is_file()}
    assert artifacts == {"artifacts/model/0.bin", "artifacts/model/1.bin", "artifacts/model/same.bin"}
    first, second = run.record.nodes
    texts = {(run.run.outputs / name).read_bytes() for name in ("up.txt", f"{second}/up.txt")}
    assert texts == {b"of 0", b"of 1"} and first != second
    children = [
        read_record(stage.workspace.run(name))
        for name in metrics_below(stage.workspace, run.run_id, name="y", is_populated=False)
    ]
    assert sorted(child.name for child in children) == ["child of 0", "child of 1"]
    for child in children:
        assert child.status is RunStatus.COMPLETED
        assert (stage.workspace.run(child.run_id).root / "artifacts/notes.txt").read_text() == "note"
