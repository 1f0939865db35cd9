"""The runs of a workspace as MLflow may know them, child runs included; what has not changed is not read again."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from scriptrun_mlflow.records import Facts, Records
from scriptrun_mlflow.views import ARTIFACTS, ExperimentView, RunView, children, with_facts

from runner.errors import RunnerError
from runner.history.moments import milliseconds
from runner.history.record_update import update_record
from runner.history.run_record import RunRecord, read_record
from runner.interop.mlflow_address import address_of
from runner.store.run_lookup import list_run_ids
from sidecar.contract.layout import WorkspaceLayout, is_run_id

# Searching the experiment 0 is what MLflow does where no experiment was named: then every run is meant.
EVERYTHING = "0"


@dataclass(slots=True, kw_only=True)
class _Known:
    """A run as it was read last."""

    signature: tuple[int, int, int]
    record: RunRecord
    records: Any
    is_final: bool = False


class WorkspaceViews:
    """All runs of one workspace; safe to be asked by several threads."""

    def __init__(self, workspace: WorkspaceLayout) -> None:
        self._workspace = workspace
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()

    def experiments(self) -> list[Any]:
        """Every experiment that has a run."""
        found: dict[str, list[Any]] = {}
        for view in self.runs((EVERYTHING,)):
            found.setdefault(view.experiment_name, []).append(view)
        return [
            ExperimentView(
                name,
                address_of(self._workspace.runs),
                min(view.start_ms for view in views),
                max(view.end_ms or view.start_ms for view in views),
            )
            for name, views in sorted(found.items())
        ]

    def runs(self, experiment_ids: Iterable[str]) -> list[Any]:
        """Every run of these experiments, given by id or name."""
        wanted = set(experiment_ids)
        with self._lock:
            views = self._all()
        return [view for view in views if EVERYTHING in wanted or {view.experiment_id, view.experiment_name} & wanted]

    def run(self, run_id: str) -> Any:
        """One run; None where there is none."""
        with self._lock:
            known = self._look(run_id) if is_run_id(run_id) else None
            if known is not None and known.record.parent_run_id is None:
                return self._view(known)
            return next((view for view in self._all() if view.run_id == run_id), None)

    def set_tags(self, run_id: str, tags: Mapping[str, str | None]) -> None:
        """Sets tags of a run, or removes those that are None. Raises NoSuchRunError for a run without a record."""

        def change(record: RunRecord) -> RunRecord:
            changed = {**record.tags, **tags}
            return dataclasses.replace(record, tags={key: text for key, text in changed.items() if text is not None})

        update_record(self._workspace.run(run_id), change)

    def set_texts(self, run_id: str, **texts: Any) -> None:
        """Changes the `name` or the `description` of a run. Raises NoSuchRunError for a run without a record."""
        update_record(self._workspace.run(run_id), lambda record: dataclasses.replace(record, **texts))

    def _all(self) -> list[Any]:
        """Child runs that only their job's records tell of are runs too; one with a record of its own keeps that."""
        found = [known for run_id in list_run_ids(self._workspace) if (known := self._look(run_id)) is not None]
        views = {known.record.run_id: self._view(known) for known in found}
        for known in found:
            for child in children(views[known.record.run_id], known.records):
                own = views.get(child.run_id)
                views[child.run_id] = child if own is None else with_facts(own, child.facts)
        return list(views.values())

    def _look(self, run_id: str) -> _Known | None:
        """The run as it is now; None where it cannot be read."""
        layout = self._workspace.run(run_id)
        try:
            state = os.stat(layout.record)
            signature = (state.st_mtime_ns, state.st_size, state.st_ino)
            known = self._known.get(run_id)
            if known is None or known.signature != signature:
                records = Records(str(layout.metrics), run_id) if known is None else known.records
                known = _Known(signature=signature, record=read_record(layout), records=records)
                self._known[run_id] = known
        except (OSError, RunnerError):
            return None
        if not known.is_final:
            known.is_final = known.record.status.is_terminal
            known.records.refresh()
        return known

    def _view(self, known: _Known) -> Any:
        record = known.record
        start_ms = milliseconds(record.start_time_utc or record.created_utc)
        head = RunView(
            run_id=record.run_id,
            experiment_name=record.experiment_name,
            user=record.user_id,
            status=record.status.value,
            start_ms=start_ms or 0,
            end_ms=milliseconds(record.end_time_utc),
            name=record.name or record.run_id,
            description=record.description,
            parent_run_id=record.parent_run_id,
            artifacts=address_of(self._workspace.run(record.run_id).root / ARTIFACTS),
            tags={**_of_mlflow(record), **record.tags},
            facts=Facts(),
        )
        view = with_facts(head, known.records.own)
        # What a person has written since the run was submitted comes after what its script said.
        asked = record.request.get("tags") or {}
        return view._replace(
            tags={**view.tags, **{key: text for key, text in record.tags.items() if asked.get(key) != text}}
        )


def _of_mlflow(record: RunRecord) -> dict[str, str]:
    """What MLflow's pages show as the source of a run."""
    tags = {key: text for key, text in record.properties.items() if key.startswith("mlflow.")}
    return {**tags, "mlflow.source.type": "JOB", "mlflow.source.name": record.script_name or ""}
