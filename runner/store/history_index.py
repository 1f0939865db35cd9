"""`history.db`: an index over the run folders, so that a list of 10,000 runs opens none of them.

It holds nothing that the folders do not hold. Broken, foreign or of another version, it is thrown away and
built again; where it cannot be written, one in memory takes its place.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from runner.errors import RunnerError
from runner.history.history_row import list_row, read_metric_columns
from runner.history.metrics_file import has_metrics
from runner.history.run_record import read_record
from runner.history.status import TERMINAL
from runner.store import index_file
from runner.store.run_lookup import list_run_ids
from sidecar.contract.layout import RunLayout, WorkspaceLayout

_FINAL = frozenset(status.value for status in TERMINAL)

_NEWEST = """
SELECT row FROM runs
WHERE :statuses = '[]' OR status IN (SELECT value FROM json_each(:statuses))
ORDER BY sorted_by DESC, run_id LIMIT :limit
"""


class _Signature(NamedTuple):
    mtime_ns: int
    size: int
    inode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunListing:
    """Rows of `history list`, newest start first, each as JSON text; and the runs whose record cannot be read."""

    rows: tuple[str, ...]
    unreadable: tuple[str, ...]

    def as_json(self) -> str:
        """One JSON list of all rows, one a line."""
        return "[\n" + ",\n".join(self.rows) + "\n]" if self.rows else "[]"


def list_runs(workspace: WorkspaceLayout, *, statuses: Collection[str] = (), limit: int | None = None) -> RunListing:
    """The runs of the workspace, after taking in what changed on disk; `statuses` and `limit` narrow them."""
    with _refreshed(workspace) as (database, unreadable):
        wanted = json.dumps(sorted(statuses))
        found = database.execute(_NEWEST, {"statuses": wanted, "limit": -1 if limit is None else limit})
        return RunListing(rows=tuple(row for (row,) in found), unreadable=unreadable)


def reindex(workspace: WorkspaceLayout) -> RunListing:
    """Builds the index again from the run folders and returns what it now holds."""
    index_file.remove(workspace)
    return list_runs(workspace)


@contextlib.contextmanager
def _refreshed(workspace: WorkspaceLayout) -> Iterator[tuple[sqlite3.Connection, tuple[str, ...]]]:
    with contextlib.ExitStack() as stack:
        database, unreadable = _open_and_refresh(workspace, stack)
        yield database, unreadable


def _open_and_refresh(
    workspace: WorkspaceLayout, stack: contextlib.ExitStack
) -> tuple[sqlite3.Connection, tuple[str, ...]]:
    for _ in range(2):
        try:
            database = stack.enter_context(contextlib.closing(index_file.connect(str(workspace.history))))
            return database, _refresh(database, workspace)
        except sqlite3.OperationalError:
            break  # read-only, locked, disk full: fall back to an index in memory
        except sqlite3.DatabaseError:
            index_file.remove(workspace)  # broken or foreign: it is only an index
    database = stack.enter_context(contextlib.closing(index_file.connect(index_file.IN_MEMORY)))
    return database, _refresh(database, workspace)


def _refresh(database: sqlite3.Connection, workspace: WorkspaceLayout) -> tuple[str, ...]:
    """Takes in new, changed and removed runs; a run that has not ended is read again where it logs metrics."""
    known = {
        run_id: (_Signature(mtime_ns, size, inode), status in _FINAL)
        for run_id, mtime_ns, size, inode, status in database.execute(
            "SELECT run_id, mtime_ns, size, inode, status FROM runs"
        )
    }
    current = _signatures(workspace)
    changed = [run_id for run_id, signature in current.items() if not _is_fresh(workspace, run_id, signature, known)]
    gone = [(run_id,) for run_id in known if run_id not in current]
    rows, unreadable = _read_rows(workspace, {run_id: current[run_id] for run_id in changed})
    gone += [(run_id,) for run_id in unreadable if run_id in known]
    if rows or gone:
        with index_file.transaction(database):
            for table, key in (("runs", "run_id"), ("metric_files", "job_id"), ("metric_points", "job_id")):
                database.executemany(f"DELETE FROM {table} WHERE {key} = ?", gone)  # noqa: S608 - names of ours
            database.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    return tuple(unreadable)


def _signatures(workspace: WorkspaceLayout) -> dict[str, _Signature]:
    # Text is joined here, not paths: with 10,000 runs pathlib alone would cost more than the whole command may.
    found = {}
    root, record = str(workspace.runs), RunLayout(workspace.runs).record.name
    for run_id in list_run_ids(workspace):
        try:
            state = os.stat(f"{root}/{run_id}/{record}")
        except OSError:
            found[run_id] = _Signature(0, 0, 0)
        else:
            found[run_id] = _Signature(state.st_mtime_ns, state.st_size, state.st_ino)
    return found


def _is_fresh(
    workspace: WorkspaceLayout, run_id: str, signature: _Signature, known: dict[str, tuple[_Signature, bool]]
) -> bool:
    if run_id not in known or known[run_id][0] != signature:
        return False
    return known[run_id][1] or not has_metrics(workspace.run(run_id))


_Row = tuple[str, str, str, int, int, int, str]


def _read_rows(workspace: WorkspaceLayout, wanted: dict[str, _Signature]) -> tuple[list[_Row], list[str]]:
    rows: list[_Row] = []
    unreadable: list[str] = []
    for run_id, signature in wanted.items():
        layout = workspace.run(run_id)
        try:
            record = read_record(layout)
        except RunnerError:
            unreadable.append(run_id)
            continue
        row = json.dumps(list_row(record, read_metric_columns(layout, record)), ensure_ascii=True)
        rows.append((run_id, record.start_time_utc or record.created_utc, record.status.value, *signature, row))
    return rows, sorted(unreadable)
