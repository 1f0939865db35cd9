"""A million points logged at full speed on 4 ranks of 2 hosts: how long until all of them are in `history.db`."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from runner.history.job_records import record_files
from runner.history.run_record import read_record
from runner.store import index_file
from sidecar.contract import events
from sidecar.contract.layout import RunLayout
from tests.benchmarks.hosts import Hosts, event_times_s, standing, wait_until
from tests.benchmarks.report import Row, Section
from tests.benchmarks.stage import Stage
from tests.benchmarks.timing import CommandFailedError, take_turns

NAME = "ssh_metrics"

_LIMIT_S = 5.0
_HOSTS, _RANKS = 2, 4
_POINTS = 250_000
_SMALL_POINTS = 5_000
_LOOK_S = 0.05
_NAMES = 10
_SCRIPT = """
from azureml.core import Run

run = Run.get_context()
for number in range({points}):
    run.log("metric_%d" % (number % {names}), 0.25 * number, step=number)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Arrival:
    """Seconds until the last point was in the index: after the run had ended, and after its last rank had."""

    after_run_s: float
    after_ranks_s: float
    logging_s: float


def measure(stage: Stage) -> Section:
    """Counted in the index itself, by a reader that opens it anew each time."""
    points = stage.size(_POINTS, small=_SMALL_POINTS)
    total = _RANKS * points
    section = Section(name=NAME, title=f"{total:,} points of {_RANKS} ranks on {_HOSTS} hosts, into history.db")
    with standing(stage, _HOSTS) as hosts:
        (samples,) = take_turns({"log": lambda: _log(hosts, points)}, runs=stage.count(3)).values()
    what = "all are there: after the run's end"
    section.add(Row(what=what, values=[one.after_run_s for one in samples], limit=_LIMIT_S))
    section.add(Row(what="all are there: after the last rank's end", values=[one.after_ranks_s for one in samples]))
    section.add(Row(what="the ranks, from the first one's start", values=[one.logging_s for one in samples]))
    section.notes.append(
        f"every point is counted: {total:,} in the index, the same number in the ranks' files, none twice;"
        " 0 s: they were all there when the run ended"
    )
    return section


def _log(hosts: Hosts, points: int) -> _Arrival:
    shape = {"type": "PyTorch", "process_count": _RANKS, "node_count": _HOSTS}
    script = _SCRIPT.format(points=points, names=_NAMES)
    run = hosts.submit(hosts.config("points", script, distributed_job_config=shape))
    database, total = str(hosts.stage.workspace.history), _RANKS * points
    wait_until(lambda: read_record(run).status.is_terminal, "the run's end", look_s=_LOOK_S)
    ended = time.time()
    wait_until(lambda: _count(database, run) == total, f"the {total:,} points", look_s=_LOOK_S)
    arrived = time.time()
    hosts.wait_end(run)
    _check(run, points)
    nodes = read_record(run).nodes
    begun, exits = event_times_s(run, nodes, events.STARTED), event_times_s(run, nodes, events.EXITED)
    shutil.rmtree(run.root)
    return _Arrival(after_run_s=arrived - ended, after_ranks_s=arrived - max(exits), logging_s=max(exits) - min(begun))


def _count(database: str, run: RunLayout) -> int:
    with contextlib.suppress(sqlite3.Error), contextlib.closing(index_file.connect(database)) as index:
        question = "SELECT coalesce(sum(count), 0) FROM metric_points WHERE job_id = ?"
        return int(index.execute(question, (run.root.name,)).fetchone()[0])
    return 0


def _check(run: RunLayout, points: int) -> None:
    """Each rank's file has every call once."""
    files = record_files(run)
    if len(files) != _RANKS:
        raise CommandFailedError(f"{len(files)} files of metrics, not one a rank")
    for path, process_name in files:
        lines = Path(path).read_bytes().splitlines()
        if len(lines) != points or len(set(lines)) != points:
            raise CommandFailedError(f"{process_name}: {len(lines):,} lines of {points:,}")
