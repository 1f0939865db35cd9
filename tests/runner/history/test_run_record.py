import json
from pathlib import Path

import pytest

from runner.errors import NoSuchRunError, WorkspaceError
from runner.history.run_record import format_duration, read_record, with_status, write_record
from runner.history.status import POST_PROCESSING, RUNNING, TERMINAL, RunStatus
from runner.history.status_watch import StatusWatch
from sidecar.contract.layout import RunLayout
from tests.doubles.run_folders import at, make_record

RUN_ID = "digits_1790000000_0123abcd"


def test_statuses_are_in_exactly_one_set() -> None:
    """Every status is running, post-processing or terminal, as v1 groups them."""
    assert set(RunStatus) == RUNNING | POST_PROCESSING | TERMINAL
    assert len(RUNNING) + len(POST_PROCESSING) + len(TERMINAL) == len(RunStatus)
    assert f"{RunStatus.CANCELED}" == "Canceled"


def test_record_survives_writing_and_reading(tmp_path: Path) -> None:
    """What is written is read again, keys of a later version included."""
    layout = RunLayout(tmp_path)
    record = make_record(RUN_ID, tags={"team": "vision \u2603"}, extra={"colour": "blue"})
    write_record(layout, record)
    assert read_record(layout) == record
    assert json.loads(layout.record.read_text())["colour"] == "blue"


def test_record_has_all_keys_of_the_contract() -> None:
    """`run.json` always holds every key, in a fixed order."""
    assert list(make_record(RUN_ID).to_json()) == [
        "run_id", "experiment_name", "status", "created_utc", "start_time_utc", "end_time_utc", "duration",
        "script_name", "target", "description", "name", "parent_run_id", "user_id", "heartbeat_enabled", "hidden",
        "run_number", "tags", "properties", "nodes", "request", "environment", "snapshot", "failure", "census",
        "warnings",
    ]  # fmt: skip


def test_status_sets_start_end_and_duration() -> None:
    """A run starts when it is first Running; its terminal status gives end and duration."""
    record = make_record(RUN_ID, RunStatus.NOT_STARTED)
    running = with_status(record, RunStatus.RUNNING, at=at(1))
    again = with_status(with_status(running, RunStatus.PAUSED, at=at(2)), RunStatus.RUNNING, at=at(3))
    ended = with_status(again, RunStatus.COMPLETED, at=at(5.892389))
    assert running.start_time_utc == again.start_time_utc == "2026-09-21T14:13:21.000000+00:00"
    assert (ended.end_time_utc, ended.duration) == ("2026-09-21T14:13:25.892389+00:00", "0:00:04.892389")


def test_run_that_never_ran_has_no_duration() -> None:
    """A run that fails before its processes has an end, and no start or duration."""
    ended = with_status(make_record(RUN_ID, RunStatus.NOT_STARTED), RunStatus.FAILED, at=at(5))
    assert (ended.start_time_utc, ended.duration, ended.end_time_utc is None) == (None, None, False)


def test_clock_set_back_gives_no_negative_duration() -> None:
    """A wall clock that went back gives a duration of zero."""
    running = make_record(RUN_ID, RunStatus.RUNNING)
    assert with_status(running, RunStatus.FAILED, at=at(-60)).duration == "0:00:00.000000"


def test_terminal_status_is_final() -> None:
    """Nothing follows a terminal status; the same one again changes nothing."""
    ended = make_record(RUN_ID)
    assert with_status(ended, RunStatus.COMPLETED, at=at(9)) is ended
    with pytest.raises(ValueError, match="already"):
        with_status(ended, RunStatus.RUNNING, at=at(9))


def test_hours_grow_past_a_day() -> None:
    """A duration counts hours, however many."""
    assert format_duration(100_000 * 1_000_000 + 5) == "27:46:40.000005"


@pytest.mark.parametrize("content", [b"", b"[]", b'{"run_id": 1}', b"\xff", b'{"status": "Odd"}'])
def test_broken_record_is_named(tmp_path: Path, content: bytes) -> None:
    """A record that is none is an error that names the file."""
    layout = RunLayout(tmp_path)
    layout.record.write_bytes(content)
    with pytest.raises(WorkspaceError, match=r"run\.json"):
        read_record(layout)


def test_missing_record_is_no_run(tmp_path: Path) -> None:
    """A folder without a record holds no run."""
    with pytest.raises(NoSuchRunError, match="holds no run"):
        read_record(RunLayout(tmp_path))


def test_watch_sees_a_change(tmp_path: Path) -> None:
    """The watch tells the new status as soon as the record was replaced."""
    layout = RunLayout(tmp_path)
    write_record(layout, make_record(RUN_ID, RunStatus.RUNNING))
    watch = StatusWatch(layout)
    assert not watch.is_finished()
    write_record(layout, make_record(RUN_ID))
    assert watch.is_finished()
