"""The metrics of a run as its processes logged them: columns by name, from their files alone or from pieces of them."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from runner.history import metric_shapes
from runner.history.job_records import Block, read_blocks, record_files
from sidecar.contract.layout import RunLayout


@dataclass(slots=True, kw_only=True)
class Points:
    """What one process logged under one name. `kinds` None: scalars only; `steps` None: none was given.

    `times` are the wall clock in nanoseconds; those of one writer never fall.
    """

    process_name: str
    times: list[int] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    steps: list[int | None] | None = None
    kinds: list[str] | None = None

    def add(self, time_ns: int, value: Any, step: Any, kind: str) -> None:
        """Appends one call."""
        if step is not None and self.steps is None:
            self.steps = [None] * len(self.times)
        if kind != metric_shapes.SCALAR and self.kinds is None:
            self.kinds = [metric_shapes.SCALAR] * len(self.times)
        self.times.append(time_ns)
        self.values.append(value)
        if self.steps is not None:
            self.steps.append(step if type(step) is int else None)
        if self.kinds is not None:
            self.kinds.append(kind)

    def extend(self, other: Points) -> None:
        """Appends what the same process logged later."""
        if other.steps is None and other.kinds is None and self.steps is None and self.kinds is None:
            self.times += other.times
            self.values += other.values
            return
        steps, kinds = other.steps or [None] * len(other.times), other.kinds
        for index, time_ns in enumerate(other.times):
            kind = kinds[index] if kinds else metric_shapes.SCALAR
            self.add(time_ns, other.values[index], steps[index], kind)


class Collector:
    """Sorts the records of one process file into points by (run id, name); goes on where it stopped."""

    def __init__(self, process_name: str, own_run_id: str, latest: dict[str, int] | None = None) -> None:
        """`latest` is the last time of every writer so far."""
        self._process_name = process_name
        self._own_run_id = own_run_id
        self.latest = {} if latest is None else latest
        self.points: dict[tuple[str, str], Points] = {}
        self.broken_count = 0

    def take(self, block: Block) -> None:
        """Takes in the metrics of a block; other records are passed over."""
        self.broken_count += block.broken_count
        points, latest, own_run_id = self.points, self.latest, self._own_run_id
        for entry in block.entries:  # A million times in a large run: written for speed.
            kind = entry["kind"]
            if kind not in metric_shapes.METRIC_KINDS:
                continue
            writer, time_ns, name = entry["w"], entry["t"], entry.get("name")
            if type(name) is not str or type(writer) is not str:
                self.broken_count += 1
                continue
            # A clock that jumps back must not bring a record before the ones of the same writer.
            before = latest.get(writer, 0)
            if time_ns < before:
                time_ns = before
            else:
                latest[writer] = time_ns
            value, step = entry.get("value"), entry.get("step")
            if "f" in entry:
                value = metric_shapes.restored(value, entry["f"])
            key = (entry.get("r") or own_run_id, name)
            series = points.get(key)
            if series is None:
                series = points[key] = Points(process_name=self._process_name)
            if step is None and kind == "scalar" and series.steps is None and series.kinds is None:
                series.times.append(time_ns)
                series.values.append(value)
            else:
                series.add(time_ns, value, step, kind)


class Metrics:
    """The metrics of one run: its own, without its children's."""

    def __init__(self) -> None:
        self.broken_count = 0
        self._by_name: dict[str, list[Points]] = {}

    def add(self, name: str, points: Points) -> None:
        """Takes more points; those of one process come in order."""
        parts = self._by_name.setdefault(name, [])
        for part in parts:
            if part.process_name == points.process_name:
                part.extend(points)
                return
        parts.append(points)

    def only(self, name: str) -> Metrics:
        """The one metric of that name, if there is one."""
        found = Metrics()
        found.broken_count = self.broken_count
        found._by_name = {name: self._by_name[name]} if name in self._by_name else {}
        return found

    def names(self) -> list[str]:
        """The names in the order in which they were first logged."""
        return sorted(self._by_name, key=lambda name: min(part.times[0] for part in self._by_name[name]))

    def merged(self, name: str) -> Points:
        """All processes' points of one name by time."""
        parts = self._by_name[name]
        merged = parts[0]
        if len(parts) > 1:
            merged = Points(process_name="")
            for part in parts:
                merged.extend(part)
        if all(map(operator.le, merged.times, itertools.islice(merged.times, 1, None))):
            return merged
        order = sorted(range(len(merged.times)), key=merged.times.__getitem__)
        return Points(
            process_name="",
            times=[merged.times[index] for index in order],
            values=[merged.values[index] for index in order],
            steps=None if merged.steps is None else [merged.steps[index] for index in order],
            kinds=None if merged.kinds is None else [merged.kinds[index] for index in order],
        )

    def parts(self, name: str) -> list[Points]:
        """The points of one name by process."""
        return self._by_name[name]

    def by_name(self) -> dict[str, list[Any]]:
        """Every value of every metric: of lists each element, of tables each row."""
        found = {}
        for name in self.names():
            points = self.merged(name)
            found[name] = metric_shapes.rows(points.kinds, points.values)
        return found

    def shaped(self, file_value: Callable[[str, str], Any]) -> dict[str, Any]:
        """Every metric in the shape of `get_metrics`."""
        found = {}
        for name in self.names():
            points = self.merged(name)
            found[name] = metric_shapes.shape(points.kinds, points.values, file_value)
        return found


def read_metrics(layout: RunLayout, run_id: str | None = None) -> Metrics:
    """Every metric of a run from its job's files, or of the child run `run_id` from those of its job `layout`."""
    own_run_id = layout.root.name
    metrics = Metrics()
    for path, process_name in record_files(layout):
        collector = Collector(process_name, own_run_id)
        for block in read_blocks(path):
            collector.take(block)
        metrics.broken_count += collector.broken_count
        add_points(metrics, collector.points.items(), run_id or own_run_id)
    return metrics


def add_points(metrics: Metrics, points: Iterable[tuple[tuple[str, str], Points]], run_id: str) -> None:
    """Adds to `metrics` those of `points`, by (run id, name), that are of `run_id`."""
    for (of_run, name), series in points:
        if of_run == run_id:
            metrics.add(name, series)


def has_metrics(layout: RunLayout) -> bool:
    """Whether any process of the run has a metrics file; one look at one folder."""
    return bool(record_files(layout))


def json_value(value: Any) -> Any:
    """`value` as JSON can hold it: NaN and the infinities become texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, list):
        return [json_value(entry) for entry in value]
    if isinstance(value, dict):
        return {key: json_value(entry) for key, entry in value.items()}
    return value
