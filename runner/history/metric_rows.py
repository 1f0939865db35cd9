"""Single points of a run's metrics in order of time, for a person who looks at them, all at once or as they come."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from runner.history import metric_shapes
from runner.history.job_records import read_blocks, record_files
from runner.history.metrics_file import Collector, Metrics, Points
from sidecar.contract.layout import RunLayout


class MetricRow(NamedTuple):
    """One value, one element of a list, or one row of a table (an object)."""

    time_ns: int
    process_name: str
    name: str
    step: int | None
    value: Any


def rows_of(metrics: Metrics, names: Collection[str]) -> list[MetricRow]:
    """The points of these metrics, or of all where none is named, by time."""
    found = [
        row
        for name in metrics.names()
        if not names or name in names
        for points in metrics.parts(name)
        for row in _rows(name, points)
    ]
    return sorted(found, key=lambda row: row.time_ns)


class MetricTail:
    """What the processes of a run log from now on; `layout` is that of the job that made it."""

    def __init__(self, layout: RunLayout, run_id: str) -> None:
        self._layout = layout
        self._run_id = run_id
        self._offsets: dict[str, int] = {}
        self._latest: dict[str, dict[str, int]] = {}

    def poll(self) -> list[MetricRow]:
        """Everything that was logged since the last time, at first everything."""
        found: list[MetricRow] = []
        for path, process_name in record_files(self._layout):
            collector = Collector(process_name, self._layout.root.name, self._latest.setdefault(path, {}))
            for block in read_blocks(path, self._offsets.get(path, 0)):
                self._offsets[path] = block.end
                collector.take(block)
            for (run_id, name), points in collector.points.items():
                if run_id == self._run_id:
                    found += _rows(name, points)
        return sorted(found, key=lambda row: row.time_ns)


def _rows(name: str, points: Points) -> Iterable[MetricRow]:
    for index, time_ns in enumerate(points.times):
        step = points.steps[index] if points.steps is not None else None
        kinds = None if points.kinds is None else [points.kinds[index]]
        for value in metric_shapes.rows(kinds, [points.values[index]]):
            yield MetricRow(time_ns, points.process_name, name, step, value)
