"""The file `history.db`: its tables, opening it, and throwing it away where it is not ours.

It holds nothing that the run folders do not hold.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator

from sidecar.contract.layout import WorkspaceLayout

IN_MEMORY = ":memory:"
# "runh"; tells our file from a stranger's. The version changes with the tables or with the shape of a row.
_APPLICATION_ID = 0x72756E68
_VERSION = 3

# Too short: two lists at once make one rebuild in memory; too long: a stuck process holds up a command.
_BUSY_TIMEOUT_S = 5.0

# `metric_points` holds what one process logged under one name between two offsets of its file: `times`, `steps` and
# `numbers` are little-endian arrays of 64 bits, `encoding` says how (runner/store/metrics_index.py).
# `metric_summaries` has the numbers of one metric of one run in short, to find runs by.
_TABLES = """
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY, sorted_by TEXT NOT NULL, status TEXT NOT NULL,
    mtime_ns INTEGER NOT NULL, size INTEGER NOT NULL, inode INTEGER NOT NULL, row TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX newest ON runs (sorted_by DESC, run_id);
CREATE TABLE metric_files (
    job_id TEXT NOT NULL, process_name TEXT NOT NULL, inode INTEGER NOT NULL, taken_bytes INTEGER NOT NULL,
    broken_count INTEGER NOT NULL, latest TEXT NOT NULL, PRIMARY KEY (job_id, process_name)
) WITHOUT ROWID;
CREATE TABLE metric_points (
    job_id TEXT NOT NULL, run_id TEXT NOT NULL, name TEXT NOT NULL, process_name TEXT NOT NULL,
    start INTEGER NOT NULL, count INTEGER NOT NULL, encoding TEXT NOT NULL,
    times BLOB NOT NULL, steps BLOB, numbers BLOB NOT NULL
);
CREATE INDEX metric_points_of_run ON metric_points (job_id, run_id, name);
CREATE TABLE metric_summaries (
    name TEXT NOT NULL, run_id TEXT NOT NULL, last REAL NOT NULL, least REAL NOT NULL, greatest REAL NOT NULL,
    count INTEGER NOT NULL, PRIMARY KEY (name, run_id)
) WITHOUT ROWID;
CREATE INDEX metric_summaries_by_run ON metric_summaries (run_id);
CREATE INDEX metric_summaries_by_last ON metric_summaries (name, last)
"""


def connect(path: str) -> sqlite3.Connection:
    """The index at `path`, with its tables. Raises sqlite3.DatabaseError where it is no index of this version."""
    database = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None)
    try:
        _prepare(database)
    except BaseException:
        database.close()
        raise
    return database


def remove(workspace: WorkspaceLayout) -> None:
    """Throws the index away; whoever needs it builds it again."""
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            os.unlink(f"{workspace.history}{suffix}")


@contextlib.contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All changes or none; nobody else writes meanwhile."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _prepare(database: sqlite3.Connection) -> None:
    if _is_ours(database):
        return
    if database.execute("SELECT count(*) FROM sqlite_master").fetchone() != (0,):
        raise sqlite3.DatabaseError("not an index of this version")
    database.execute("PRAGMA journal_mode=WAL")
    with transaction(database):
        if _is_ours(database):
            return  # another command was quicker
        for statement in _TABLES.split(";"):
            database.execute(statement)
        database.execute(f"PRAGMA application_id={_APPLICATION_ID}")
        database.execute(f"PRAGMA user_version={_VERSION}")


def _is_ours(database: sqlite3.Connection) -> bool:
    marks = [database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
    return marks == [_APPLICATION_ID, _VERSION]
