"""Whose log a file is, in a few letters and one colour."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner.history.process_table import ProcessRow
from sidecar.contract.layout import MAIN, RunLayout, driver_log_index, is_driver_log

# Readable on black and on white; red is left for what is wrong.
_COLOURS = (36, 32, 35, 34, 33, 96, 92, 95, 94, 93)

# The layout builds the names; here they are taken apart by building them around a mark.
_MARK = "\0"
_LAYOUT = RunLayout(Path())
_OF_A_NODE = tuple(
    (name.split(_MARK)[0], name.split(_MARK)[1], part)
    for name, part in (
        (_LAYOUT.execution_log(_MARK).name, "exec"),
        (_LAYOUT.job_prep_log(_MARK).name, "prep"),
        (_LAYOUT.job_post_log(_MARK).name, "post"),
    )
)
_OF_THE_RUN = {_LAYOUT.image_build_log.name: "image-build", _LAYOUT.mpi_log.name: "mpi"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """`node:part`, and of a process's log its index.

    `is_known` says whether that process has been announced, so that its node is known.
    """

    node_id: str | None
    part: str
    rank: int | None = None
    is_known: bool = True

    @property
    def text(self) -> str:
        """The label as it stands before a line."""
        return self.part if self.node_id is None else f"{self.node_id}:{self.part}"

    @property
    def colour(self) -> int:
        """The SGR colour: the same for one process in every command, another one for its neighbours."""
        number = zlib.crc32(self.text.encode()) if self.rank is None else self.rank
        return _COLOURS[number % len(_COLOURS)]


def label_of(file_name: str, process: ProcessRow | None) -> Label:
    """The label of the log called `file_name`; `process` is who writes it, where that is known."""
    if is_driver_log(file_name):
        return _process_label(driver_log_index(file_name), process)
    for prefix, suffix, part in _OF_A_NODE:
        if file_name.startswith(prefix) and file_name.endswith(suffix):
            return Label(node_id=file_name[len(prefix) : -len(suffix)], part=part)
    return Label(node_id=None, part=_OF_THE_RUN.get(file_name) or file_name)


def processes_by_log(rows: list[ProcessRow]) -> Mapping[str, ProcessRow]:
    """Who writes which log, by the log's path in the run folder."""
    return {row.log: row for row in rows if row.log}


def _process_label(index: int | None, process: ProcessRow | None) -> Label:
    part = MAIN if index is None else str(index)
    node_id = process.node_id if process else None
    return Label(node_id=node_id, part=part, rank=index or 0, is_known=process is not None)
