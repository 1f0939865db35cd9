"""Knows a run's latest status without reading `run.json` again when it did not change."""

from __future__ import annotations

import os

from runner.history.run_record import RunRecord, read_record
from sidecar.contract.layout import RunLayout


class StatusWatch:
    """The record of one run, re-read only where the file changed; cheap enough to ask twenty times a second."""

    def __init__(self, layout: RunLayout) -> None:
        self._layout = layout
        self._seen: tuple[int, int, int] | None = None
        self._record: RunRecord | None = None

    def read(self) -> RunRecord:
        """The record as it is now; raises NoSuchRunError or WorkspaceError."""
        seen = self._signature()
        if self._record is None or seen != self._seen:
            self._record = read_record(self._layout)
            self._seen = seen
        return self._record

    def is_finished(self) -> bool:
        """Whether the run reached a terminal status."""
        return self.read().status.is_terminal

    def _signature(self) -> tuple[int, int, int] | None:
        try:
            found = os.stat(self._layout.record)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino
