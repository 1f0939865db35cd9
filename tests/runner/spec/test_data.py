"""The data of a run in its record, and as a node is told of them."""

from __future__ import annotations

from runner.spec.data import DataSpec, InputSpec, OutputSpec
from runner.spec.request import RunRequest


def test_data_come_back_from_the_record() -> None:
    """Equal values; a record of an earlier version has no data."""
    given = InputSpec(name="digits", listing="a" * 64, variables=("digits",), file_count=2, size_bytes=9)
    made = OutputSpec(name="made", destination="/there", variables=("made", "other"))
    data = DataSpec(inputs=(given,), outputs=(made,), shared=(("/data", True),), limit_bytes=7)
    request = RunRequest(experiment_name="x", source_directory="/", script="job.py", data=data)
    assert RunRequest.from_record(request.to_record()) == request
    record = RunRequest(experiment_name="x", source_directory="/", script="job.py").to_record()
    del record["data"]
    assert not RunRequest.from_record(record).data
    assert data.to_plan()["outputs"] == {"made": "outputs/made", "other": "outputs/made"}
    assert DataSpec().to_plan() == {}
