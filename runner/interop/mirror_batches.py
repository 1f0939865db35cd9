"""Turns the records of a job (docs/metrics.md) into what an MLflow server takes; decides only, sends nothing.

Records keep their order where it matters: what was said of a run before it changed its status, or before a tag was
removed, is sent before that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
_LARGEST = 2**63 - 1
# MLflow's own limits a request; longer texts are cut, as its client does.
_METRICS, _PARAMS, _TAGS = 1000, 100, 100
_PARAM_TEXT, _TAG_TEXT, _NAME = 6000, 5000, 250
_STATUSES = {"Running": "RUNNING", "Completed": "FINISHED", "Failed": "FAILED", "Canceled": "KILLED"}
_DETAILS = {"display_name": "mlflow.runName", "description": "mlflow.note.content"}
_NOT_IN_A_NAME = re.compile(r"[^/\w.\- :]")


@dataclass(slots=True)
class Batch:
    """What is logged to one run at once, as `runs/log-batch` takes it; `run_id` is ours."""

    run_id: str
    metrics: list[dict[str, Any]] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The request's body, but for the server's own id of the run."""
        return {"metrics": self.metrics, "params": _pairs(self.params), "tags": _pairs(self.tags)}

    @property
    def size(self) -> int:
        """How many values, parameters and tags it has."""
        return len(self.metrics) + len(self.params) + len(self.tags)

    def halves(self) -> tuple[Batch, Batch]:
        """What it has, in two: where the server refuses all of it because of one."""
        middle = self.size // 2
        return self._part(0, middle), self._part(middle, self.size)

    def _part(self, begin: int, end: int) -> Batch:
        found: list[list[Any]] = []
        kinds: tuple[list[Any], ...] = (self.metrics, list(self.params.items()), list(self.tags.items()))
        for kept in kinds:
            found.append(kept[max(0, begin) : max(0, end)])
            begin, end = begin - len(kept), end - len(kept)
        return Batch(self.run_id, found[0], dict(found[1]), dict(found[2]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A child run begins."""

    run_id: str
    parent: str
    name: str | None
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """A child run has another status."""

    run_id: str
    status: str
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Untag:
    """A tag goes."""

    run_id: str
    name: str


Step = Batch | Child | Ending | Untag


def steps(records: Iterable[Mapping[str, Any]], run_id: str, numbers: MutableMapping[str, int]) -> Iterator[Step]:
    """What is to be sent for `records` of the job whose run is `run_id`.

    `numbers` counts values without a step by run and name, and outlives this call.
    """
    open_batches: dict[str, Batch] = {}
    for record in records:
        try:
            about, kind, at_ms = str(record.get("r", run_id)), record["kind"], int(record["t"]) // 1_000_000
            if kind in ("child", "status", "tag_removed"):
                if about in open_batches:
                    yield open_batches.pop(about)
                if (step := _step(record, kind, about, run_id, at_ms)) is not None:
                    yield step
                continue
            batch = open_batches.setdefault(about, Batch(about))
            _add(batch, record, kind, numbers)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            continue  # Torn: the record is lost, and its writer said so.
        if len(batch.metrics) >= _METRICS or len(batch.params) >= _PARAMS or len(batch.tags) >= _TAGS:
            yield from _cut(open_batches.pop(about))
    for batch in open_batches.values():
        yield from _cut(batch)


def sendable_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Tags as the server takes them."""
    return {_name(name): _text(text, _TAG_TEXT) for name, text in tags.items()}


def tag_batches(run_id: str, tags: Mapping[str, str]) -> Iterator[Batch]:
    """`tags`, already made to fit, in requests of the size that a server takes."""
    names = list(tags)
    for begin in range(0, len(names), _TAGS):
        yield Batch(run_id, tags={name: tags[name] for name in names[begin : begin + _TAGS]})


def _step(record: Mapping[str, Any], kind: str, about: str, run_id: str, at_ms: int) -> Step | None:
    if kind == "tag_removed":
        return Untag(run_id=about, name=_name(record["name"]))
    if about == run_id:
        return None  # Of the job's own run only its processes decide.
    if kind == "child":
        return Child(run_id=about, parent=str(record.get("parent") or run_id), name=record.get("value"), at_ms=at_ms)
    return Ending(run_id=about, status=_STATUSES[record["status"]], at_ms=at_ms)


def _add(batch: Batch, record: Mapping[str, Any], kind: str, numbers: MutableMapping[str, int]) -> None:
    name, value = record.get("name"), record.get("value")
    if kind == "param":
        batch.params.setdefault(_name(name), _text(value, _PARAM_TEXT))
    elif kind == "tag":
        batch.tags[_name(name)] = _text(value, _TAG_TEXT)
    elif kind == "detail" and value:
        batch.tags[_DETAILS[str(name)]] = _text(value, _TAG_TEXT)
    elif kind == "scalar":
        _metric(batch, str(name), value, record, numbers, is_marked=bool(record.get("f")))
    elif kind in ("list", "row", "table"):
        columns = {f"{name}/{key}": cells for key, cells in value.items()} if isinstance(value, dict) else {name: value}
        for column, cells in columns.items():
            for cell in cells if isinstance(cells, list) else [cells]:
                head = {"t": record["t"]}
                _metric(batch, str(column), cell, head, numbers, is_marked=bool(record.get("f")))


def _metric(
    batch: Batch,
    name: str,
    value: Any,
    record: Mapping[str, Any],
    numbers: MutableMapping[str, int],
    *,
    is_marked: bool,
) -> None:
    """Takes in a number; texts are none, but those that stand for what JSON lacks."""
    if isinstance(value, str):
        if not is_marked or value not in _NOT_FINITE:
            return
    elif isinstance(value, (bool, int, float)):
        value = float(value)
        if not math.isfinite(value):
            return
    else:
        return
    step = record.get("step")
    if not isinstance(step, int) or not -_LARGEST <= step <= _LARGEST:
        key = f"{batch.run_id} {name}"
        step = numbers.get(key, 0)
        numbers[key] = step + 1
    at_ms = int(record.get("at", int(record["t"]) // 1_000_000))
    batch.metrics.append({"key": _name(name), "value": value, "timestamp": at_ms, "step": step})


def _cut(batch: Batch) -> Iterator[Batch]:
    """A row or table may have brought more metrics than one request holds."""
    for begin in range(_METRICS, len(batch.metrics), _METRICS):
        yield Batch(batch.run_id, metrics=batch.metrics[begin : begin + _METRICS])
    batch.metrics = batch.metrics[:_METRICS]
    if batch.metrics or batch.params or batch.tags:
        yield batch


def _name(text: Any) -> str:
    """A name that MLflow takes: what it does not becomes `_`."""
    return _NOT_IN_A_NAME.sub("_", str(text))[:_NAME]


def _text(value: Any, limit: int) -> str:
    """A text that every database behind a server takes: one that fails over it would fail for ever."""
    return str(value)[:limit].encode("utf-8", "replace").decode("utf-8").replace("\0", "")


def _pairs(found: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": name, "value": text} for name, text in found.items()]
