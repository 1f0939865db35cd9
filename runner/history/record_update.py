"""Changes `run.json` while others may be changing it too: one reads, changes and writes at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable

from runner.history.run_record import RunRecord, read_record, write_record
from sidecar.contract.layout import RunLayout


def update_record(layout: RunLayout, change: Callable[[RunRecord], RunRecord]) -> RunRecord:
    """Replaces the record by `change(record)`, durable on return; what another process wrote before is kept.

    Whoever writes the record by other means can still undo it. Raises NoSuchRunError, WorkspaceError or OSError.
    """
    record = read_record(layout)
    descriptor = os.open(layout.state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # given back by closing, and by the end of the process
        record = read_record(layout)
        changed = change(record)
        if changed != record:
            write_record(layout, changed)
        return changed
    finally:
        os.close(descriptor)
