"""Notices that somebody removed what controllers keep of a live run: the nodes tell most of it again."""

from __future__ import annotations

import dataclasses

from runner.history.record_update import update_record
from runner.history.run_record import RunRecord
from sidecar.contract.layout import RunLayout

_WARNING = "{state} was removed while the run went on: metrics, and the times of log lines, from before are lost"


def has_lost_state(run: RunLayout) -> bool:
    """Whether the lock that the caller holds was removed, and the run was not."""
    return run.record.exists() and not run.controller_lock.exists()


def note_lost_state(run: RunLayout, record: RunRecord) -> RunRecord:
    """The record, with a warning where the run has begun and nothing is left of what its nodes told."""
    if record.start_time_utc is None or any(run.node_events(node_id).exists() for node_id in record.nodes):
        return record
    for folder in (run.metrics, run.time_indexes):
        folder.mkdir(mode=0o700, exist_ok=True)
    warning = _WARNING.format(state=run.state)
    return update_record(
        run, lambda on_disk: dataclasses.replace(on_disk, warnings=(*dict.fromkeys((*on_disk.warnings, warning)),))
    )
