"""`history.db`: an index over the run folders, so that a list of 10,000 runs opens none of them.

It holds nothing that the folders do not hold. Broken, foreign or of another version, it is thrown away and
built again; where it cannot be written, one in memory takes its place.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from runner.errors import RunnerError
from runner.history.history_row import list_row, read_metric_columns
from runner.history.metrics_file import has_metrics
from runner.history.run_record import read_record
from runner.history.status import TERMINAL
from runner.store import index_file
from runner.store.run_lookup import list_run_ids
from sidecar.contract.layout import RunLayout, WorkspaceLayout

_FINAL = frozenset(status.value for status in TERMINAL)

# Which runs have a metric, by its last value.
_BY_METRIC = """
SELECT row FROM metric_summaries JOIN runs USING (run_id)
WHERE name = :metric AND last BETWEEN :least AND :greatest
    AND (:statuses = '[]' OR status IN (SELECT value FROM json_each(:statuses)))
ORDER BY last {direction}, run_id LIMIT :limit
"""
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


def list_by_metric(
    workspace: WorkspaceLayout,
    metric: str,
    *,
    least: float = -math.inf,
    greatest: float = math.inf,
    statuses: Collection[str] = (),
    limit: int | None = None,
    is_lowest_first: bool = False,
) -> RunListing:
    """The runs that have a number as `metric`, the greatest last value first, or the lowest.

    `least` and `greatest` narrow them.
    """
    with _refreshed(workspace) as (database, unreadable):
        return RunListing(
            rows=query_by_metric(
                database,
                metric,
                least=least,
                greatest=greatest,
                statuses=statuses,
                limit=-1 if limit is None else limit,
                is_lowest_first=is_lowest_first,
            ),
            unreadable=unreadable,
        )


def query_by_metric(
    database: sqlite3.Connection,
    metric: str,
    *,
    least: float,
    greatest: float,
    statuses: Collection[str],
    limit: int,
    is_lowest_first: bool = False,
) -> tuple[str, ...]:
    """The rows of those runs, as JSON text; a limit below 0 is none."""
    wanted = {"metric": metric, "least": least, "greatest": greatest, "limit": limit}
    statement = _BY_METRIC.format(direction="ASC" if is_lowest_first else "DESC")
    found = database.execute(statement, {**wanted, "statuses": json.dumps(sorted(statuses))})
    return tuple(row for (row,) in found)


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
    rows, summaries, unreadable = _read_rows(workspace, {run_id: current[run_id] for run_id in changed})
    gone += [(run_id,) for run_id in unreadable if run_id in known]
    if rows or gone:
        with index_file.transaction(database):
            for table, key in (("runs", "run_id"), ("metric_files", "job_id"), ("metric_points", "job_id")):
                database.executemany(f"DELETE FROM {table} WHERE {key} = ?", gone)  # noqa: S608 - names of ours
            stale = [*gone, *((row[0],) for row in rows)]
            database.executemany("DELETE FROM metric_summaries WHERE run_id = ?", stale)
            database.executemany("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            database.executemany("INSERT OR REPLACE INTO metric_summaries VALUES (?, ?, ?, ?, ?, ?)", summaries)
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
_Summary = tuple[str, str, float, float, float, int]


def _read_rows(
    workspace: WorkspaceLayout, wanted: dict[str, _Signature]
) -> tuple[list[_Row], list[_Summary], list[str]]:
    rows: list[_Row] = []
    summaries: list[_Summary] = []
    unreadable: list[str] = []
    for run_id, signature in wanted.items():
        layout = workspace.run(run_id)
        try:
            record = read_record(layout)
        except RunnerError:
            unreadable.append(run_id)
            continue
        columns = read_metric_columns(layout, record)
        summaries += _summaries(run_id, columns)
        row = json.dumps(list_row(record, columns), ensure_ascii=True)
        rows.append((run_id, record.start_time_utc or record.created_utc, record.status.value, *signature, row))
    return rows, summaries, sorted(unreadable)


def _summaries(run_id: str, columns: Mapping[str, Any]) -> Iterator[_Summary]:
    """One for every metric that has a number; NaN is none."""
    for name, column in columns.items():
        values = column if isinstance(column, list) else [column]
        numbers = [float(value) for value in values if type(value) in (int, float)]
        if numbers:
            yield name, run_id, numbers[-1], min(numbers), max(numbers), len(numbers)
