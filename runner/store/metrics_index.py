"""The metrics of runs in `history.db`: columns of numbers, so that a million points are read in a moment.

What is not taken in yet is read from the files of the run, so the index is never needed and never behind.

encoding `d`: all values are floats, `q`: all are integers, `j`: JSON, [values, kinds or null].
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
from array import array
from collections.abc import Iterator
from typing import Any

from runner.history.job_records import read_blocks, record_files
from runner.history.metrics_file import Collector, Metrics, Points, add_points, read_metrics
from runner.store import index_file
from sidecar.contract.layout import RunLayout, WorkspaceLayout

# Less than this is read from the file faster than the index is opened.
SMALL_BYTES = 256 * 1024
# Taken in at once: the memory that the points of so much text need is about ten times as much.
_TAKE_BYTES = 64 * 1024 * 1024
_NO_STEP = -(2**63)

_INSERT = "INSERT INTO metric_points VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_FILE = "INSERT OR REPLACE INTO metric_files VALUES (?, ?, ?, ?, ?, ?)"
_READ = """
SELECT name, process_name, encoding, times, steps, numbers FROM metric_points
WHERE job_id = :job AND run_id = :run AND (:name IS NULL OR name = :name) ORDER BY rowid
"""


def read_run_metrics(
    workspace: WorkspaceLayout, job_id: str, run_id: str | None = None, *, name: str | None = None
) -> Metrics:
    """The metrics of a run from the index and what its files have beyond it; takes in what is worth it.

    `run_id` is a child run of the job `job_id`, by default the job's own. Only `name`, where it is given.
    """
    layout = workspace.run(job_id)
    run_id = run_id or job_id
    if sum(_size(path) for path, _ in record_files(layout)) > SMALL_BYTES:
        with _opened(workspace) as database:
            if database is not None:
                _take_in(database, layout)
                return _read(database, layout, run_id, name)
    metrics = read_metrics(layout, run_id)
    return metrics if name is None else metrics.only(name)


def take_in(workspace: WorkspaceLayout, job_id: str) -> bool:
    """Takes the metrics of a job into the index; says whether there is one. Small runs are left to their files."""
    with _opened(workspace) as database:
        if database is None:
            return False
        return _take_in(database, workspace.run(job_id), least_bytes=1)


@contextlib.contextmanager
def _opened(workspace: WorkspaceLayout) -> Iterator[sqlite3.Connection | None]:
    """The index; None where it cannot be written: then the files do."""
    try:
        try:
            database = index_file.connect(str(workspace.history))
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            index_file.remove(workspace)
            database = index_file.connect(str(workspace.history))
    except sqlite3.Error:
        yield None
        return
    with contextlib.closing(database):
        yield database


def _take_in(database: sqlite3.Connection, layout: RunLayout, *, least_bytes: int = SMALL_BYTES) -> bool:
    """Takes in what every file has beyond the index, unless that is little; False where the index is not writable."""
    job_id = layout.root.name
    for path, process_name in record_files(layout):
        try:
            while _size(path) - _taken(database, job_id, process_name, path) >= least_bytes:
                with index_file.transaction(database):
                    if not _take_piece(database, job_id, process_name, path):
                        break
        except (sqlite3.Error, OSError):
            return False  # Locked for long, or no room: the files do.
    return True


def _taken(database: sqlite3.Connection, job_id: str, process_name: str, path: str) -> int:
    return _state(database, job_id, process_name, path)[0]


def _state(database: sqlite3.Connection, job_id: str, process_name: str, path: str) -> tuple[int, int, str]:
    """(bytes that are taken in, broken lines among them, last time of each writer); nothing of another file."""
    found = database.execute(
        "SELECT inode, taken_bytes, broken_count, latest FROM metric_files WHERE job_id = ? AND process_name = ?",
        (job_id, process_name),
    ).fetchone()
    status = os.stat(path)
    if found is None or found[0] != status.st_ino or found[1] > status.st_size:
        return 0, 0, "{}"
    return int(found[1]), int(found[2]), str(found[3])


def _take_piece(database: sqlite3.Connection, job_id: str, process_name: str, path: str) -> bool:
    """Takes in the next piece of one file; says whether there was one."""
    start, broken_count, latest = _state(database, job_id, process_name, path)
    if start == 0:  # New, or another file than before.
        database.execute("DELETE FROM metric_points WHERE job_id = ? AND process_name = ?", (job_id, process_name))
    collector, end = Collector(process_name, job_id, json.loads(latest)), start
    for block in read_blocks(path, start):
        collector.take(block)
        end = block.end
        if end - start >= _TAKE_BYTES:
            break
    database.executemany(
        _INSERT,
        (
            (job_id, run_id, name, process_name, start, len(points.times), *_encode(points))
            for (run_id, name), points in collector.points.items()
        ),
    )
    total = broken_count + collector.broken_count
    database.execute(_FILE, (job_id, process_name, os.stat(path).st_ino, end, total, json.dumps(collector.latest)))
    return end > start


def _read(database: sqlite3.Connection, layout: RunLayout, run_id: str, name: str | None) -> Metrics:
    metrics = Metrics()
    job_id = layout.root.name
    # One state of the index for the points and for the offsets that they go up to.
    database.execute("BEGIN")
    try:
        for found, process_name, *encoded in database.execute(_READ, {"job": job_id, "run": run_id, "name": name}):
            metrics.add(found, _decode(process_name, *encoded))
        states = {
            process_name: (path, _state(database, job_id, process_name, path))
            for path, process_name in record_files(layout)
        }
    finally:
        database.execute("COMMIT")
    for process_name, (path, (offset, broken_count, latest)) in states.items():
        collector = Collector(process_name, job_id, json.loads(latest))
        for block in read_blocks(path, offset):
            collector.take(block)
        metrics.broken_count += broken_count + collector.broken_count
        points = collector.points.items()
        add_points(metrics, [item for item in points if name in (None, item[0][1])], run_id)
    return metrics


def _encode(points: Points) -> tuple[str, bytes, bytes | None, bytes]:
    steps = None if points.steps is None else _bytes("q", [_NO_STEP if step is None else step for step in points.steps])
    types = {type(value) for value in points.values}
    if points.kinds is None and types == {float}:
        return "d", _bytes("q", points.times), steps, _bytes("d", points.values)
    if points.kinds is None and types == {int} and all(-(2**63) <= value < 2**63 for value in points.values):
        return "q", _bytes("q", points.times), steps, _bytes("q", points.values)
    return "j", _bytes("q", points.times), steps, json.dumps([points.values, points.kinds]).encode("ascii")


def _decode(process_name: str, encoding: str, times: bytes, steps: bytes | None, numbers: bytes) -> Points:
    values, kinds = json.loads(numbers) if encoding == "j" else (_numbers(encoding, numbers), None)
    return Points(
        process_name=process_name,
        times=_numbers("q", times),
        values=values,
        steps=None if steps is None else [None if step == _NO_STEP else step for step in _numbers("q", steps)],
        kinds=kinds,
    )


def _bytes(code: str, values: list[Any]) -> bytes:
    packed = array(code, values)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def _numbers(code: str, content: bytes) -> list[Any]:
    packed = array(code)
    packed.frombytes(content)
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tolist()


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
