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
from runner.store.run_lookup import list_run_ids
from sidecar.contract.layout import RunLayout, WorkspaceLayout

# "runh"; tells our file from a stranger's. The version changes with the table or with the shape of a row.
_APPLICATION_ID = 0x72756E68
_VERSION = 1

# Too short: two lists at once make one rebuild in memory; too long: a stuck process holds up a command.
_BUSY_TIMEOUT_S = 5.0

_FINAL = frozenset(status.value for status in TERMINAL)

_TABLE = """
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY, sorted_by TEXT NOT NULL, status TEXT NOT NULL,
    mtime_ns INTEGER NOT NULL, size INTEGER NOT NULL, inode INTEGER NOT NULL, row TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX newest ON runs (sorted_by DESC, run_id);
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


def reindex(workspace: WorkspaceLayout) -> RunListing:
    """Builds the index again from the run folders and returns what it now holds."""
    _remove(workspace)
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
            database = stack.enter_context(contextlib.closing(_open(str(workspace.history))))
            return database, _refresh(database, workspace)
        except sqlite3.OperationalError:
            break  # read-only, locked, disk full: fall back to an index in memory
        except sqlite3.DatabaseError:
            _remove(workspace)  # broken or foreign: it is only an index
    database = stack.enter_context(contextlib.closing(_open(":memory:")))
    return database, _refresh(database, workspace)


def _open(path: str) -> sqlite3.Connection:
    database = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
    try:
        _prepare(database)
    except BaseException:
        database.close()
        raise
    return database


def _prepare(database: sqlite3.Connection) -> None:
    if _is_ours(database):
        return
    if database.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
        raise sqlite3.DatabaseError("not an index of this version")
    database.execute("PRAGMA journal_mode=WAL")
    with _transaction(database):
        if _is_ours(database):
            return  # another command was quicker
        for statement in _TABLE.split(";"):
            database.execute(statement)
        database.execute(f"PRAGMA application_id={_APPLICATION_ID}")
        database.execute(f"PRAGMA user_version={_VERSION}")


def _is_ours(database: sqlite3.Connection) -> bool:
    marks = [database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    return marks == [_APPLICATION_ID, _VERSION]


@contextlib.contextmanager
def _transaction(database: sqlite3.Connection) -> Iterator[None]:
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


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
        with _transaction(database):
            database.executemany("DELETE FROM runs WHERE run_id = ?", gone)
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
        row = json.dumps(list_row(record, read_metric_columns(layout)), ensure_ascii=True)
        rows.append((run_id, record.start_time_utc or record.created_utc, record.status.value, *signature, row))
    return rows, sorted(unreadable)


def _remove(workspace: WorkspaceLayout) -> None:
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            os.unlink(f"{workspace.history}{suffix}")
