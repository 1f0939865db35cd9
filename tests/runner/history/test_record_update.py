"""Changing a run's record while others change it too."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runner.history.record_update import update_record
from runner.history.run_record import RunRecord, read_record, write_record
from runner.history.status import RunStatus
from sidecar.contract.layout import RunLayout


def test_no_change_is_lost(tmp_path: Path) -> None:
    """Many writers at once, each adding one tag: all tags are there in the end."""
    layout = RunLayout(tmp_path)
    layout.state.mkdir()
    record = RunRecord(run_id="a_1_00000000", experiment_name="a", status=RunStatus.RUNNING, created_utc="")
    write_record(layout, record)

    def add(number: int) -> None:
        update_record(layout, lambda current: dataclasses.replace(current, tags={**current.tags, str(number): "x"}))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert sorted(read_record(layout).tags, key=int) == [str(number) for number in range(40)]
