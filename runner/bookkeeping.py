"""Takes over what a job's processes say of their run (docs/metrics.md) into `run.json`, child runs and `history.db`.

It runs beside the controller, so that tags and child runs are seen while the job goes on; before the run gets its
final status, everything has been taken over.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import shutil
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from runner.errors import RunnerError
from runner.history.child_runs import child_extra, descendants, job_of
from runner.history.job_records import read_blocks, record_files
from runner.history.record_update import update_record
from runner.history.run_record import RunRecord, iso_utc, read_record, with_status, write_record
from runner.history.status import RunStatus
from runner.store.model_requests import register_asked
from sidecar.contract import publish
from sidecar.contract.layout import WorkspaceLayout, is_experiment_name

# How long after news, and after a quiet while, the next look comes: shorter costs an idle run, longer shows tags late.
_BUSY_PAUSE_S = 1.0
_IDLE_PAUSE_S = 5.0
# Metrics are taken into the index in pieces of at least this size, so that little is left to do at the end.
_INDEX_BYTES = 8 * 1024 * 1024
# What a job asked to be registered as models.
MODELS = "models"
_DETAILS = {"display_name": "name", "description": "description"}

_logger = logging.getLogger(__name__)


class _Said(NamedTuple):
    """One record about one run, and where it belongs among all."""

    order: tuple[int, str, int]
    run_id: str
    entry: Mapping[str, Any]


class Bookkeeper:
    """The bookkeeping of one run. Everything may be done again: what was taken over stays as it is."""

    def __init__(self, workspace: WorkspaceLayout, run_id: str) -> None:
        self._workspace = workspace
        self._run = workspace.run(run_id)
        self._run_id = run_id
        self._offsets: dict[str, int] = {}
        self._latest: dict[str, int] = {}
        self._orders: dict[tuple[str, str], tuple[int, str, int]] = {}
        self._lost: dict[str, int] = {}
        self._indexed_bytes = 0
        self._guard = threading.Lock()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name=f"bookkeeping-{run_id}", daemon=True)

    def start(self) -> None:
        """Begins to look by itself."""
        self._thread.start()

    def stop(self) -> None:
        """Looks no more by itself, if it does; returns once it does not."""
        self._is_over.set()
        if self._thread.is_alive():
            self._thread.join()

    def finish(self, status: RunStatus) -> None:
        """Takes over the rest; child runs that nobody ended end as the job does. Raises OSError for a full disk."""
        self.stop()
        self.look()
        self._end_children(status)
        self._register_models()
        self._warn_of_loss()

    def index(self) -> None:
        """Takes the metrics into `history.db`, if they are many; without it they are read from their files."""
        from runner.store import metrics_index

        if self._size() >= metrics_index.SMALL_BYTES:
            metrics_index.take_in(self._workspace, self._run_id)

    def _watch(self) -> None:
        pause_s = _BUSY_PAUSE_S
        while not self._is_over.wait(pause_s):
            try:
                pause_s = _BUSY_PAUSE_S if self.look() else min(2 * pause_s, _IDLE_PAUSE_S)
                if self._size() - self._indexed_bytes >= _INDEX_BYTES:
                    self._indexed_bytes = self._size()
                    self.index()
            except Exception:  # The door of this thread: `finish` does it all again, where the controller sees it.
                pause_s = _IDLE_PAUSE_S
                _logger.exception("run=%s: cannot take over what the job said", self._run_id)

    def _size(self) -> int:
        return sum(os.stat(path).st_size for path, _ in record_files(self._run))

    def look(self) -> bool:
        """Takes over what is new; says whether there was anything."""
        with self._guard:
            said = sorted(self._read_new(), key=lambda one: one.order)
            by_run: dict[str, list[_Said]] = {}
            for one in said:
                if one.entry["kind"] == "child":
                    self._make_child(one)
                by_run.setdefault(one.run_id, []).append(one)
            for run_id, ones in by_run.items():
                if self._is_ours(run_id):
                    update_record(self._workspace.run(run_id), partial(self._changed, ones=ones))
        return bool(said)

    def _read_new(self) -> Iterable[_Said]:
        for path, process_name in record_files(self._run):
            offset = self._offsets.get(path, 0)
            if os.stat(path).st_size == offset:
                continue
            for block in read_blocks(path, offset, without_scalars=True):
                self._offsets[path] = block.end
                for entry in block.entries:
                    writer = str(entry["w"])
                    self._latest[writer] = time_ns = max(entry["t"], self._latest.get(writer, 0))
                    if entry["kind"] == "lost":
                        self._lost[process_name] = self._lost.get(process_name, 0) + int(entry.get("value") or 0)
                    elif entry["kind"] in _KINDS:
                        yield _Said((time_ns, writer, int(entry.get("n") or 0)), _run_of(entry, self._run_id), entry)

    def _changed(self, record: RunRecord, *, ones: Iterable[_Said]) -> RunRecord:
        for one in ones:
            try:
                record = self._with(record, one)
            except (ValueError, KeyError, TypeError) as error:
                _logger.warning("run=%s: a record that says nothing: %s: %s", self._run_id, one.entry, error)
        return record

    def _with(self, record: RunRecord, one: _Said) -> RunRecord:
        entry, kind = one.entry, one.entry["kind"]
        if kind == "tag" or kind == "tag_removed":
            name = str(entry["name"])
            if not self._is_last((one.run_id, f"tag {name}"), one):
                return record
            tags = {key: value for key, value in record.tags.items() if key != name}
            return dataclasses.replace(record, tags={**tags, name: str(entry["value"])} if kind == "tag" else tags)
        if kind == "property":
            return self._with_property(record, str(entry["name"]), str(entry["value"]))
        if kind == "detail":
            field = _DETAILS[entry["name"]]
            return (
                dataclasses.replace(record, **{field: entry["value"]})
                if self._is_last((one.run_id, field), one)
                else record
            )
        if kind == "model":
            models = [*record.extra.get(MODELS, ()), {"name": entry["name"], **entry["value"]}]
            known = models[-1] in record.extra.get(MODELS, ())
            return record if known else dataclasses.replace(record, extra={**record.extra, MODELS: models})
        if kind == "status" and one.run_id != self._run_id:
            return _ended(record, RunStatus(entry["status"]), _at(one), entry.get("error"))
        return record

    def _with_property(self, record: RunRecord, name: str, value: str) -> RunRecord:
        known = record.properties.get(name, value)
        if known != value:
            warning = f"property {name} is {known!r} already; a process of the job asked for {value!r}"
            return _warned(record, warning)
        return dataclasses.replace(record, properties={**record.properties, name: value})

    def _is_last(self, key: tuple[str, str], one: _Said) -> bool:
        if one.order < self._orders.get(key, one.order):
            return False
        self._orders[key] = one.order
        return True

    # Child runs

    def _is_ours(self, run_id: str) -> bool:
        if run_id == self._run_id:
            return True
        try:
            return job_of(read_record(self._workspace.run(run_id))) == self._run_id
        except RunnerError:
            return False

    def _make_child(self, one: _Said) -> None:
        layout = self._workspace.run(one.run_id)
        if not is_experiment_name(one.run_id) or layout.root.exists():
            if not self._is_ours(one.run_id):
                update_record(self._run, partial(_warned, warning=f"no child run can be called {one.run_id}"))
            return
        parent_id = str(one.entry.get("parent") or self._run_id)
        job, at = read_record(self._run), iso_utc(_at(one))
        name = one.entry.get("value")
        record = RunRecord(
            run_id=one.run_id,
            experiment_name=job.experiment_name,
            status=RunStatus.RUNNING,
            created_utc=at,
            start_time_utc=at,
            script_name=job.script_name,
            target=job.target,
            name=f"run_{one.run_id}" if name is None else str(name),
            parent_run_id=parent_id,
            user_id=job.user_id,
            run_number=job.run_number,
            extra=child_extra(self._run_id),
        )
        layout.state.mkdir(parents=True, mode=0o700)
        write_record(layout, record)
        if parent_id == self._run_id or self._is_ours(parent_id):
            publish.append_record(self._workspace.run(parent_id).children, {"run_id": one.run_id})

    def _end_children(self, status: RunStatus) -> None:
        at = datetime.now(timezone.utc)
        for layout in descendants(self._workspace, self._run_id):
            _link_files(self._run.child(layout.root.name).root, layout.root)
            update_record(layout, partial(_ended, status=status, at=at, error=None))

    def _register_models(self) -> None:
        """Registers what the job and its child runs asked for, each once; what is not there is told in a warning."""
        for layout in (self._run, *descendants(self._workspace, self._run_id)):
            record = read_record(layout)
            for number, asked in enumerate(record.extra.get(MODELS, ())):
                problem = register_asked(self._workspace, record, number, asked)
                if problem is not None:
                    update_record(self._run, partial(_warned, warning=problem))

    def _warn_of_loss(self) -> None:
        processes = {name for _, name in record_files(self._run) if self._run.process_loss(name).exists()}
        for process_name in sorted(processes | set(self._lost)):
            count = self._lost.get(process_name)
            what = f"{count} records" if count else "some records"
            text = f"{process_name}: {what} of metrics and tags were lost: its node had no room to write them"
            update_record(self._run, partial(_warned, warning=text))


_KINDS = frozenset({"child", "tag", "tag_removed", "property", "detail", "status", "model"})


def _link_files(source: Path, target: Path) -> None:
    """Makes the files of a child run, which lie in its job's folder, files of its own as well."""
    for folder, _, names in os.walk(source):
        place = target / os.path.relpath(folder, source)
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            with contextlib.suppress(FileExistsError):
                try:
                    os.link(os.path.join(folder, name), place / name, follow_symlinks=False)
                except PermissionError:  # A file system without hard links.
                    shutil.copyfile(os.path.join(folder, name), place / name, follow_symlinks=False)


def _run_of(entry: Mapping[str, Any], own_run_id: str) -> str:
    return str(entry.get("r") or own_run_id)


def _at(one: _Said) -> datetime:
    return datetime.fromtimestamp(one.order[0] / 1e9, timezone.utc)


def _ended(record: RunRecord, status: RunStatus, at: datetime, error: Any) -> RunRecord:
    """A child run's record after it was told to end, or to run; it ends once."""
    if record.status.is_terminal:
        return record
    if status is RunStatus.FAILED:
        record = dataclasses.replace(record, failure={"first": None, "summary": error or "Failed", "others": []})
    return with_status(record, status, at=at)


def _warned(record: RunRecord, warning: str) -> RunRecord:
    if warning in record.warnings:
        return record
    return dataclasses.replace(record, warnings=(*record.warnings, warning))
