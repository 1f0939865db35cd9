"""Writes process_info.json and process_status.json: each fact once, however often it is told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sidecar.contract import events, publish
from sidecar.contract.layout import EVERY_PROCESS, RunLayout

_STARTED = "Started"
_COMPLETED = "Completed"
_FAILED = "Failed"
_TERMINATED = "Terminated"


class ProcessJournal:
    """The one writer of both files; a new one goes on where a killed controller's stopped."""

    def __init__(self, layout: RunLayout) -> None:
        self._layout = layout
        # What stands in each file, for the day somebody removes it.
        self._records: dict[Path, list[Mapping[str, Any]]] = {}
        for path in (layout.process_info, layout.process_status):
            publish.drop_torn_tail(path)
            self._records[path] = list(publish.read_records(path))
        self._known = {str(record.get("process_name")) for record in self._records[layout.process_info]}
        self._told = {
            (str(record.get("process_name")), str(record.get("status")))
            for record in self._records[layout.process_status]
        }
        self._ended = {name for name, status in self._told if status != _STARTED}

    def started(self, node_id: str, record: Mapping[str, Any]) -> None:
        """A process of `node_id` started; `record` is its event."""
        name = str(record["process"])
        if name not in self._known:
            self._known.add(name)
            self._append(
                self._layout.process_info,
                {
                    "process_name": name,
                    "node_id": node_id,
                    "pid_in_container": record["pid"],
                    "private_ip": record["address"],
                    "log": record["log"],
                },
            )
        self._tell(name, _STARTED, int(record["at_ns"]))

    def exited(self, record: Mapping[str, Any], *, was_stopped: bool) -> None:
        """A process ended; `was_stopped` tells one that the runner ended from one that failed by itself."""
        name = str(record["process"])
        if name in self._ended:
            return
        self._ended.add(name)
        status = _COMPLETED if record["exit_code"] == 0 else _TERMINATED if was_stopped else _FAILED
        self._tell(name, status, int(record["at_ns"]))

    def close(self, status: str, at_ns: int) -> None:
        """The last line of a run: process `*`, with the status that the run ended in."""
        if EVERY_PROCESS not in self._ended:
            self._ended.add(EVERY_PROCESS)
            self._tell(EVERY_PROCESS, status, at_ns)
        self._restore(self._layout.process_info)

    def _tell(self, name: str, status: str, at_ns: int) -> None:
        if (name, status) in self._told:
            return
        self._told.add((name, status))
        self._append(
            self._layout.process_status,
            {"process_name": name, "timestamp": events.utc_text(at_ns), "status": status},
        )

    def _append(self, path: Path, record: Mapping[str, Any]) -> None:
        self._restore(path)
        self._records[path].append(record)
        publish.append_record(path, record)

    def _restore(self, path: Path) -> None:
        """Writes again what stood in the file where somebody removed it."""
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            for record in self._records[path]:
                publish.append_record(path, record)
