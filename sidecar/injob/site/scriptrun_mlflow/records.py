"""Reads the records of one job (docs/metrics.md) into facts about its run and its child runs.

Reading goes on where it ended the last time, so asking again while a job runs costs only what is new.
"""

from __future__ import annotations

import json
import math
import os
from array import array
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from scriptrun_job.values import restored

_NO_STEP = -(2**63)
_LARGEST = 2**63 - 1
_MetricKey = Tuple[str, str, str]


class Point(NamedTuple):
    """One value of a metric; the time is in milliseconds."""

    at_ms: int
    value: float
    step: int


class Series:
    """The values of one metric that are numbers."""

    def __init__(self) -> None:
        self._times_ns = array("q")
        self._at_ms = array("q")
        self._values = array("d")
        self._steps = array("q")
        self._best = Point(0, 0.0, _NO_STEP)
        self._last_ns = -1
        self._last = Point(0, 0.0, -1)  # Of those without a step; its step is how many came before it.

    def add(self, time_ns: int, at_ms: int, value: float, step: Optional[int]) -> None:
        """Takes in one value; `time_ns` says where it belongs among those of other processes."""
        self._times_ns.append(time_ns)
        self._at_ms.append(at_ms)
        self._values.append(value)
        self._steps.append(_NO_STEP if step is None else step)
        if step is None:
            if time_ns < self._last_ns:
                at_ms, value = self._last.at_ms, self._last.value
            self._last_ns = max(time_ns, self._last_ns)
            self._last = Point(at_ms, value, self._last.step + 1)
        else:
            self._best = max(Point(at_ms, value, step), self._best, key=_rank)

    def points(self) -> List[Point]:
        """All of them by time; those that were logged without a step are numbered from 0."""
        found: List[Point] = []
        number = 0
        for index in sorted(range(len(self._values)), key=self._times_ns.__getitem__):
            step = self._steps[index]
            if step == _NO_STEP:
                step, number = number, number + 1
            found.append(Point(self._at_ms[index], self._values[index], step))
        return found

    def latest(self) -> Point:
        """The one that stands for the metric, as MLflow chooses it: of the highest step the last."""
        return self._best if self._last.step < 0 else max(self._last, self._best, key=_rank)


class Facts:
    """What was said of one run: of every key the value that counts."""

    def __init__(self) -> None:
        self._tags: Dict[str, Tuple[int, Optional[str]]] = {}
        self._params: Dict[str, Tuple[int, str]] = {}
        self._details: Dict[str, Tuple[int, Optional[str]]] = {}
        self._status: Tuple[int, str] = (-1, "")
        self._lifecycle: Tuple[int, str] = (-1, "active")
        self._models: Dict[str, Tuple[int, Dict[str, Any]]] = {}
        self.parent = ""
        self.began_ms = 0
        self.series: Dict[str, Series] = {}
        self.model_series: Dict[_MetricKey, Series] = {}
        self.inputs: List[Dict[str, Any]] = []
        self.outputs: List[Dict[str, Any]] = []

    @property
    def tags(self) -> Dict[str, Optional[str]]:
        """The tags that were set and those that were removed; the latter are None."""
        return {name: value for name, (_, value) in self._tags.items()}

    @property
    def params(self) -> Dict[str, str]:
        """The parameters."""
        return {name: value for name, (_, value) in self._params.items()}

    @property
    def details(self) -> Dict[str, Optional[str]]:
        """`display_name` and `description`, where they were given."""
        return {name: value for name, (_, value) in self._details.items()}

    @property
    def status(self) -> str:
        """The last status, empty where there was none."""
        return self._status[1]

    @property
    def ended_ms(self) -> Optional[int]:
        """When the last status was said, where it is one that ends a run."""
        return None if self.status in ("", "Running") else self._status[0] // 1_000_000

    @property
    def lifecycle(self) -> str:
        """`active` or `deleted`."""
        return self._lifecycle[1]

    @property
    def models(self) -> List[Dict[str, Any]]:
        """The models that MLflow 3 logged, as `job_store` wrote them."""
        return [model for _, model in self._models.values()]

    def take(self, kind: str, entry: Dict[str, Any], time_ns: int) -> None:
        """Takes in one record that is no child run."""
        name = str(entry.get("name"))
        value = entry.get("value")
        if kind == "scalar":
            self._take_number(name, restored(value, entry.get("f")), entry, time_ns)
        elif kind in ("list", "row", "table"):
            self._take_many(name, restored(value, entry.get("f")), entry, time_ns)
        elif kind == "param":
            _keep_first(self._params, name, time_ns, str(value))
        elif kind in ("tag", "tag_removed"):
            _keep_last(self._tags, name, time_ns, str(value) if kind == "tag" else None)
        elif kind == "detail":
            _keep_last(self._details, name, time_ns, value)
        elif kind == "status":
            self._status = max((time_ns, str(entry["status"])), self._status, key=_time)
        elif kind == "mlflow.lifecycle":
            self._lifecycle = max((time_ns, str(value)), self._lifecycle, key=_time)
        elif kind == "mlflow.model":
            _keep_last(self._models, str(entry["value"]["model_id"]), time_ns, entry["value"])
        elif kind in ("mlflow.input", "mlflow.output"):
            (self.inputs if kind == "mlflow.input" else self.outputs).append(entry["value"])

    def _take_number(self, name: str, value: Any, entry: Dict[str, Any], time_ns: int) -> None:
        number = _number(value)
        if number is None:
            return
        step = entry.get("step")
        step = step if isinstance(step, int) and -_LARGEST <= step <= _LARGEST else None
        point = (time_ns, int(entry.get("at", time_ns // 1_000_000)), number, step)
        self.series.setdefault(name, Series()).add(*point)
        of_model = entry.get("mlflow")
        if of_model:
            key = (str(of_model[0]), name, json.dumps(of_model[1:]))
            self.model_series.setdefault(key, Series()).add(*point)

    def _take_many(self, name: str, value: Any, entry: Dict[str, Any], time_ns: int) -> None:
        """A list is one metric, and so is each column of rows and tables."""
        columns = {f"{name}/{column}": cells for column, cells in value.items()} if isinstance(value, dict) else None
        for column, cells in (columns or {name: value}).items():
            for cell in cells if isinstance(cells, list) else [cells]:
                self._take_number(column, cell, {}, time_ns)


class Records:
    """The facts by run id; `refresh` reads what is new in the files of `folder`."""

    def __init__(self, folder: str, run_id: str) -> None:
        self.run_id = run_id
        self._folder = folder
        self._offsets: Dict[str, int] = {}
        self._latest: Dict[str, int] = {}
        self._facts: Dict[str, Facts] = {run_id: Facts()}

    def refresh(self) -> Records:
        """Reads on; a line that has not been ended yet waits for the next time."""
        for path in self._paths():
            for line in self._new_lines(path):
                try:
                    self._take(json.loads(line))
                except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OverflowError):
                    pass  # Torn: that record is lost, and its writer said so.
        return self

    @property
    def own(self) -> Facts:
        """What was said of the job's own run."""
        return self._facts[self.run_id]

    @property
    def children(self) -> Dict[str, Facts]:
        """What was said of each child run."""
        return {run_id: facts for run_id, facts in self._facts.items() if facts.parent}

    def _take(self, entry: Dict[str, Any]) -> None:
        kind, writer = entry["kind"], str(entry["w"])
        # A clock that jumps back does not bring a record before earlier ones of the same writer.
        self._latest[writer] = time_ns = max(int(entry["t"]), self._latest.get(writer, 0))
        run_id = str(entry.get("r", self.run_id))
        facts = self._facts.get(run_id)
        if facts is None:
            facts = self._facts[run_id] = Facts()
        if kind == "child" and run_id != self.run_id:
            facts.parent = str(entry.get("parent") or self.run_id)
            facts.began_ms = time_ns // 1_000_000
            facts.take("status", {"status": "Running"}, time_ns)
            if entry.get("value") is not None:
                facts.take("detail", {"name": "display_name", "value": str(entry["value"])}, time_ns)
        else:
            facts.take(kind, entry, time_ns)

    def _paths(self) -> List[str]:
        try:
            names = sorted(os.listdir(self._folder))
        except OSError:
            return []
        return [os.path.join(self._folder, name) for name in names if name.endswith(".jsonl")]

    def _new_lines(self, path: str) -> Iterator[bytes]:
        begin = self._offsets.get(path, 0)
        try:
            if os.stat(path).st_size <= begin:
                return
            with open(path, "rb") as stream:
                stream.seek(begin)
                for line in stream:
                    if not line.endswith(b"\n"):
                        return
                    begin += len(line)
                    self._offsets[path] = begin
                    yield line
        except OSError:
            return


def _number(value: Any) -> Optional[float]:
    if isinstance(value, (bool, int, float)):
        return float(value)
    return None


def _rank(point: Point) -> Tuple[int, int, bool, float]:
    return point.step, point.at_ms, not math.isnan(point.value), point.value


def _keep_first(found: Dict[str, Tuple[int, Any]], name: str, time_ns: int, value: Any) -> None:
    if name not in found or time_ns < found[name][0]:
        found[name] = (time_ns, value)


def _keep_last(found: Dict[str, Tuple[int, Any]], name: str, time_ns: int, value: Any) -> None:
    if name not in found or time_ns >= found[name][0]:
        found[name] = (time_ns, value)


def _time(pair: Tuple[int, Any]) -> int:
    return pair[0]
