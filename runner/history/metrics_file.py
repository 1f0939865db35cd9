"""Reads the metrics that a run's processes appended to their JSON Lines files."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sidecar.contract.layout import RunLayout

# The kinds of record that are one value under a name; docs/metrics.md has the others.
_KINDS = frozenset({"scalar"})
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPoint:
    """One call of `log`: `time_ns` is the writer's wall clock, `sequence` counts its calls."""

    time_ns: int
    writer: str
    sequence: int
    name: str
    value: Any
    step: int | None
    process_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """All points of a run in order of time, and how many lines could not be read."""

    points: tuple[MetricPoint, ...]
    broken_count: int

    def by_name(self) -> dict[str, list[Any]]:
        """Every value of every metric; names in the order in which they were first logged."""
        values: dict[str, list[Any]] = {}
        for point in self.points:
            values.setdefault(point.name, []).append(point.value)
        return values


def read_metrics(layout: RunLayout) -> Metrics:
    """Every metric of a run, each once, by time; an unfinished last line waits, a broken one is counted."""
    seen: dict[tuple[str, int], MetricPoint] = {}
    broken = 0
    for path, process_name in _files(layout):
        for line in _whole_lines(path):
            try:
                point = _parse(line, process_name)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                broken += 1
                continue
            if point is not None:
                seen.setdefault((point.writer, point.sequence), point)
    points = sorted(seen.values(), key=lambda point: (point.time_ns, point.writer, point.sequence))
    return Metrics(points=tuple(points), broken_count=broken)


def has_metrics(layout: RunLayout) -> bool:
    """Whether any process of the run has a metrics file; one look at one folder."""
    return next(_files(layout), None) is not None


def json_value(value: Any) -> Any:
    """`value` as JSON can hold it: NaN and the infinities become texts."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _files(layout: RunLayout) -> Iterator[tuple[str, str]]:
    try:
        names = sorted(os.listdir(layout.metrics))
    except OSError:
        return
    for name in names:
        process_name, suffix = os.path.splitext(name)
        if layout.process_metrics(process_name).name == name and suffix:
            yield os.path.join(layout.metrics, name), process_name


def _whole_lines(path: str) -> Iterator[bytes]:
    try:
        with open(path, "rb") as stream:
            yield from (line for line in stream if line.endswith(b"\n") and line != b"\n")
    except OSError:
        return


def _parse(line: bytes, process_name: str) -> MetricPoint | None:
    """The point in a record; None where it is about something else. Raises ValueError and its like for a broken one."""
    entry = json.loads(line)
    if entry["kind"] not in _KINDS or "r" in entry:
        return None
    name, value, step = entry["name"], entry.get("value"), entry.get("step")
    if not isinstance(name, str):
        raise ValueError("a metric's name is text")
    return MetricPoint(
        time_ns=int(entry["t"]),
        writer=str(entry["w"]),
        sequence=int(entry["n"]),
        name=name,
        value=_NOT_FINITE.get(value, value) if entry.get("f") and isinstance(value, str) else value,
        step=step if isinstance(step, int) else None,
        process_name=process_name,
    )
