"""Experiment: a name that runs are submitted under (reference azureml-v1.md 1.2)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from itertools import groupby
from typing import TYPE_CHECKING, Any

from runner.errors import RunnerError, UsageError
from runner.history.run_kind import SWEEP, kind_of
from runner.sdk.exceptions import UserErrorException
from runner.sdk.partial import Partial
from runner.sdk.run import Run
from runner.sdk.run_state import as_tags
from runner.sdk.submitting import hand_over
from runner.store.assets import AssetsLayout
from sidecar.contract.layout import is_experiment_name, is_run_id, new_run_id, run_id_seconds

if TYPE_CHECKING:
    from runner.history.run_record import RunRecord
    from runner.sdk.workspace import Workspace

_NOTES = "experiments"


class ViewType:
    """Which experiments a list shows."""

    ActiveOnly = "ActiveOnly"
    ArchivedOnly = "ArchivedOnly"
    All = "All"


class Experiment(Partial):
    """The runs of one name in a workspace; it comes to be with its first run.

    Raises UserErrorException for a name that v1 would not take.
    """

    def __init__(self, workspace: Workspace, name: str, **_others: Any) -> None:
        if not is_experiment_name(str(name)):
            raise UserErrorException(
                f"Invalid experiment name {name!r}: it must be 1 to 255 letters, digits, '_' or '-', and start with a "
                "letter or a digit."
            )
        self._workspace = workspace
        self._name = name

    @property
    def name(self) -> str:
        """The experiment's name."""
        return self._name

    @property
    def id(self) -> str:
        """The experiment's id, which is its name here."""
        return self._name

    @property
    def workspace(self) -> Workspace:
        """The workspace that holds the runs."""
        return self._workspace

    @property
    def workspace_object(self) -> Workspace:
        """v1's older word for `workspace`."""
        return self._workspace

    @property
    def tags(self) -> dict[str, str]:
        """The experiment's own tags; its runs have theirs."""
        return dict(self._notes().get("tags") or {})

    @property
    def archived_time(self) -> str | None:
        """When it was archived; None while it is not."""
        return self._notes().get("archived_time")

    def submit(
        self,
        config: Any,
        tags: Mapping[str, Any] | None = None,
        show_output: bool = False,
        run_id: str | None = None,
        _parent_run_id: str | None = None,
        credential_passthrough: bool = False,
    ) -> Run:
        """Starts a run of `config` and returns it once it is handed over; `show_output` follows it to its end first.

        A run that fails while it is followed is returned like any other: only waiting for it raises. `run_id` must
        have the form <experiment>_<seconds>_<8 hex>. Raises ExperimentExecutionException, UserErrorException,
        SnapshotException, or what `runner.submission.submit` raises; then no run was created.
        """
        if run_id is not None:
            self._check_run_id(run_id)
        chosen = run_id or new_run_id(self._name, epoch_s=int(time.time()))
        record = hand_over(self, config, tags=as_tags(tags or {}), run_id=chosen, parent_run_id=_parent_run_id)
        run = self.run_of(record)
        if show_output:
            run.wait_for_completion(show_output=True, raise_on_error=False)
        return run

    def start_logging(
        self,
        *args: Any,
        outputs: str | None = None,
        snapshot_directory: str | os.PathLike[str] | None = ".",
        name: str | None = None,
        run_id: str | None = None,
        display_name: str | None = None,
        **kwargs: Any,
    ) -> Run:
        """Starts an interactive run: this program logs to it, and says when it is complete.

        What lies in the folder `outputs` at its end is kept; `snapshot_directory` is kept now, None keeps nothing.
        """
        source = None if snapshot_directory is None else os.fspath(snapshot_directory)
        return self.begin(name=display_name or name, run_id=run_id, outputs=outputs, source=source)

    def begin(
        self,
        *,
        name: str | None = None,
        run_id: str | None = None,
        outputs: str | None = None,
        parent_run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        source: str | None = None,
    ) -> Run:
        """An interactive run, Running. Raises UserErrorException for an id that no run can have."""
        from runner import interactive

        if run_id is not None:
            self._check_run_id(run_id)
        try:
            record = interactive.begin(
                self._workspace.layout,
                self._name,
                environ=os.environ,
                run_id=run_id,
                name=name,
                parent_run_id=parent_run_id,
                tags=tags,
                source=source,
            )
        except UsageError as error:
            raise UserErrorException(str(error), error) from error
        return Run(self, record.run_id, outputs=outputs)

    def get_runs(
        self,
        type: str | None = None,
        tags: str | Mapping[str, str] | None = None,
        properties: str | Mapping[str, str] | None = None,
        include_children: bool = False,
    ) -> Iterator[Run]:
        """The experiment's runs, newest first: a text means that the tag is there, a mapping how it must be.

        Records are read only as far as the caller goes. Runs below other runs are left out unless asked for.
        """
        return self.find(type=type, tags=tags, properties=properties, parents=None if include_children else [None])

    def find(
        self,
        *,
        type: str | None = None,
        tags: str | Mapping[str, str] | None = None,
        properties: str | Mapping[str, str] | None = None,
        status: str | None = None,
        parents: Sequence[str | None] | None = None,
    ) -> Iterator[Run]:
        """The runs that fit, newest first; `parents` are the runs that they are children of, None: of none."""
        since = parents[0] if parents and len(parents) == 1 else None
        for record in self.records(since=since):
            if (
                type in (None, kind_of(record))
                and status in (None, record.status.value)
                and (parents is None or record.parent_run_id in parents)
                and has_entries(record.tags, tags)
                and has_entries(record.properties, properties)
            ):
                yield self.run_of(record)

    def run_of(self, record: RunRecord) -> Run:
        """The run of a record, as an object of the class for its kind."""
        if kind_of(record) == SWEEP:
            from runner.sdk.hyperdrive.run import HyperDriveRun

            return HyperDriveRun(self, record.run_id)
        return Run(self, record.run_id)

    # The experiment itself

    @staticmethod
    def list(
        workspace: Workspace, experiment_name: str | None = None, view_type: str = "ActiveOnly", tags: Any = None
    ) -> Any:
        """The experiments of the workspace: those in use, the archived ones, or all (view_type "All")."""
        found = [experiment for name, experiment in workspace.experiments.items() if experiment_name in (None, name)]
        wanted = {"activeonly": (False,), "archivedonly": (True,)}.get(str(view_type).lower(), (True, False))
        return [
            experiment
            for experiment in found
            if (experiment.archived_time is not None) in wanted and has_entries(experiment.tags, tags)
        ]

    @staticmethod
    def delete(workspace: Workspace, experiment_id: str) -> None:
        """Forgets an experiment without runs. Raises UserErrorException where it has some."""
        experiment = Experiment(workspace, experiment_id)
        if next(experiment.records(), None) is not None:
            raise UserErrorException(f"Only empty Experiments can be deleted: {experiment_id} has runs.")
        AssetsLayout.of(workspace.layout).note(_NOTES, experiment_id).unlink(missing_ok=True)

    def archive(self) -> None:
        """Leaves it out of lists until it is reactivated."""
        self._note({"archived_time": datetime.now(timezone.utc).isoformat(timespec="microseconds")})

    def reactivate(self, new_name: str | None = None) -> None:
        """Takes it into lists again. An experiment cannot be renamed: its runs are named after it."""
        if new_name is not None and new_name != self._name:
            raise UserErrorException("An experiment cannot be renamed: its runs are named after it.")
        self._note({"archived_time": None})

    def tag(self, key: str, value: Any = None) -> None:
        """Sets one tag."""
        self.set_tags({key: "" if value is None else value})

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """Sets some tags and keeps the others."""
        self._note({"tags": {**self.tags, **as_tags(tags)}})

    def remove_tags(self, tags: Sequence[str]) -> None:
        """Removes the tags with these names."""
        gone = {tags} if isinstance(tags, str) else set(tags)
        self._note({"tags": {key: value for key, value in self.tags.items() if key not in gone}})

    def refresh(self) -> None:
        """Does nothing: everything is read when it is asked for."""

    def get_portal_url(self) -> str:
        """Where its runs are."""
        return self._workspace.layout.runs.absolute().as_uri()

    def get_docs_url(self) -> str:
        """v1 links its documentation; there is none to open here."""
        return ""

    def __repr__(self) -> str:
        return f"Experiment(Name: {self._name},\nWorkspace: {self._workspace.name})"

    def _check_run_id(self, run_id: str) -> None:
        if not is_run_id(run_id) or not run_id.startswith(f"{self._name}_"):
            raise UserErrorException(
                f"Invalid run_id {run_id!r}: it must have the form {self._name}_<seconds>_<8 hexadecimal digits>."
            )

    def record_of(self, run_id: str) -> RunRecord:
        """The record of one run, as it is now; raises NoSuchRunError."""
        from runner.history.run_record import read_record

        return read_record(self._workspace.layout.run(run_id))

    def records(self, *, since: str | None = None) -> Iterator[RunRecord]:
        """The records of its runs, newest first; `since` leaves out those older than that run."""
        from runner.store.run_lookup import list_run_ids

        first_s = -1 if since is None else run_id_seconds(since)
        run_ids = [run_id for run_id in list_run_ids(self._workspace.layout) if self._may_be_mine(run_id, first_s)]
        for _, same_second in groupby(sorted(run_ids, key=run_id_seconds, reverse=True), key=run_id_seconds):
            records = []
            for run_id in same_second:
                try:
                    records.append(self.record_of(run_id))
                except RunnerError:
                    continue  # removed meanwhile, or not readable: the others can still be listed
            records.sort(key=lambda record: record.created_utc, reverse=True)
            yield from (record for record in records if record.experiment_name == self._name)

    def _may_be_mine(self, run_id: str, first_s: int) -> bool:
        return run_id.startswith(f"{self._name}_") and run_id_seconds(run_id) >= first_s

    def _notes(self) -> dict[str, Any]:
        from runner.store import assets

        path = AssetsLayout.of(self._workspace.layout).note(_NOTES, self._name)
        return assets.read_json(path) if path.exists() else {}

    def _note(self, changes: dict[str, Any]) -> None:
        from runner.store import assets

        assets.write_json(
            AssetsLayout.of(self._workspace.layout).note(_NOTES, self._name), {**self._notes(), **changes}
        )


def has_entries(found: Mapping[str, str], wanted: str | Mapping[str, str] | None) -> bool:
    """v1's filter for tags and properties: a text must be there, a mapping as it says."""
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return wanted in found
    return all(found.get(key) == str(value) for key, value in wanted.items())
