"""Reads back, inside the job, what its processes on this node have said of the run (docs/metrics.md)."""

from __future__ import annotations

import json
import os

from scriptrun_job.shapes import METRIC_KINDS, Shape

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

    Order = Tuple[int, str, int]

# No text inside a record can hold these bytes: its quotes are escaped.
_SCALAR = b'"kind":"scalar"'


class Facts:
    """What was said of one run: of every key the value that counts."""

    def __init__(self) -> None:
        self._tags: Dict[str, Tuple[Order, Optional[str]]] = {}
        self._properties: Dict[str, Tuple[Order, str]] = {}
        self._details: Dict[str, Tuple[Order, Any]] = {}
        self._status: Tuple[Order, str, Optional[str]] = ((-1, "", -1), "", None)
        self.children: List[Tuple[Order, str]] = []
        self.parent = ""

    @property
    def tags(self) -> Dict[str, Optional[str]]:
        """The tags that were set and those that were removed; the latter are None."""
        return {name: value for name, (_, value) in self._tags.items()}

    @property
    def properties(self) -> Dict[str, str]:
        """The properties that were added."""
        return {name: value for name, (_, value) in self._properties.items()}

    @property
    def details(self) -> Dict[str, Any]:
        """The display name and the description, where they were given."""
        return {name: value for name, (_, value) in self._details.items()}

    @property
    def status(self) -> str:
        """The last status, empty where there was none."""
        return self._status[1]

    @property
    def error(self) -> Optional[str]:
        """Why it failed."""
        return self._status[2]

    def take(self, kind: str, entry: Dict[str, Any], order: Order) -> None:
        """Takes in one record."""
        name = entry.get("name")
        if kind == "tag" or kind == "tag_removed":
            value = str(entry["value"]) if kind == "tag" else None
            self._tags[str(name)] = max(self._tags.get(str(name), (order, value)), (order, value), key=_order)
        elif kind == "property":
            new = (order, str(entry["value"]))
            self._properties[str(name)] = min(self._properties.get(str(name), new), new, key=_order)
        elif kind == "detail":
            given = (order, entry["value"])
            self._details[str(name)] = max(self._details.get(str(name), given), given, key=_order)
        elif kind == "status" and order >= self._status[0]:
            self._status = (order, str(entry["status"]), entry.get("error"))


class Ledger:
    """The facts by run id; `refresh` reads what is new."""

    def __init__(self, folder: str, run_id: str) -> None:
        self._folder = folder
        self._run_id = run_id
        self._latest: Dict[str, int] = {}
        self._offsets: Dict[str, int] = {}
        self._facts: Dict[str, Facts] = {}

    def of(self, run_id: str) -> Facts:
        """What was said of one run, the job's own or a child."""
        return self._facts.setdefault(run_id, Facts())

    def refresh(self) -> None:
        """Takes in the records that were written since the last time, but for the scalars."""
        for path in self._paths():
            for line in self._new_lines(path):
                if _SCALAR not in line:
                    self._take(line)

    def metrics(self, run_id: str, name: Optional[str], file_uri: Callable[[str, str], Any]) -> Dict[str, Any]:
        """The metrics of one run in the shapes of azureml-v1.md 2.4; `file_uri` gives what stands for a file."""
        shapes: Dict[str, Shape] = {}
        for _, entry in sorted(self._metric_records(run_id, name), key=_order):
            shapes.setdefault(entry["name"], Shape()).add(entry["kind"], entry.get("value"), entry.get("f"))
        return {key: shape.value(file_uri) for key, shape in shapes.items()}

    def _metric_records(self, run_id: str, name: Optional[str]) -> Iterator[Tuple[Order, Dict[str, Any]]]:
        latest: Dict[str, int] = {}
        for path in self._paths():
            with open(path, "rb") as stream:
                for line in stream:
                    try:
                        entry = json.loads(line)
                        if entry["kind"] in METRIC_KINDS and entry.get("r", self._run_id) == run_id:
                            order = order_of(entry, latest)
                            if name is None or entry["name"] == name:
                                yield order, entry
                    except (ValueError, KeyError, TypeError, AttributeError):
                        continue  # Torn, or being written.

    def _paths(self) -> List[str]:
        try:
            names = sorted(os.listdir(self._folder))
        except OSError:
            return []
        return [os.path.join(self._folder, name) for name in names if name.endswith(".jsonl")]

    def _new_lines(self, path: str) -> Iterator[bytes]:
        with open(path, "rb") as stream:
            stream.seek(self._offsets.get(path, 0))
            for line in stream:
                if not line.endswith(b"\n"):
                    return
                self._offsets[path] = self._offsets.get(path, 0) + len(line)
                yield line

    def _take(self, line: bytes) -> None:
        try:
            entry = json.loads(line)
            kind, run_id = entry["kind"], entry.get("r", self._run_id)
            order = order_of(entry, self._latest)
            facts = self.of(run_id)
            facts.take(kind, entry, order)
            if kind == "child":
                facts.parent = str(entry.get("parent") or self._run_id)
                facts.take("status", {"status": "Running"}, order)
                if entry.get("value") is not None:
                    facts.take("detail", {"name": "display_name", "value": entry["value"]}, order)
                self.of(facts.parent).children.append((order, run_id))
        except (ValueError, KeyError, TypeError, AttributeError):
            pass  # Torn: the record is lost, and its writer said so.


def order_of(entry: Dict[str, Any], latest: Dict[str, int]) -> Order:
    """Where a record belongs among all; a clock that jumps back does not bring it before those of the same writer."""
    writer = str(entry["w"])
    latest[writer] = time_ns = max(int(entry["t"]), latest.get(writer, 0))
    return time_ns, writer, int(entry["n"])


def _order(pair: Tuple[Order, Any]) -> Order:
    return pair[0]
