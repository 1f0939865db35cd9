"""Run: one run as the submitting side sees it (reference azureml-v1.md 2)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import NoSuchRunError
from runner.history.run_kind import SCRIPT, kind_of
from runner.history.run_record import RunRecord, read_record
from runner.history.status import RunStatus
from runner.sdk.exceptions import ActivityFailedException, ExperimentExecutionException
from runner.sdk.partial import PIPELINES, Partial
from runner.sdk.run_children import RunChildren
from runner.sdk.run_logging import RunLogging
from runner.sdk.run_models import RunModels
from runner.sdk.run_state import RunState
from sidecar.contract.layout import RunLayout

if TYPE_CHECKING:
    from runner.sdk.experiment import Experiment
    from runner.sdk.workspace import Workspace

TYPE = SCRIPT
_SNAPSHOT_PROPERTY = "ContentSnapshotId"


class Run(RunLogging, RunModels, RunChildren, RunState, Partial):
    """A run that was submitted, or that a program logs to; everything is read from its folder when it is asked for.

    Raises NoSuchRunError where the experiment has no run of that id.
    """

    _elsewhere = dict.fromkeys(("find_step_run", "get_steps", "get_output", "get_pipeline_runs"), PIPELINES)

    def __init__(self, experiment: Experiment, run_id: str, outputs: str | None = None, **_others: Any) -> None:
        self._outputs = outputs
        self._experiment = experiment
        self._run_id = run_id
        self._workspace = experiment.workspace.layout
        self._layout = self._workspace.run(run_id)
        if self._read().experiment_name != experiment.name:
            raise NoSuchRunError(f"the experiment {experiment.name} has no run {run_id}", hint="Run.get(workspace, id)")

    @staticmethod
    def get(workspace: Workspace, run_id: str) -> Run:
        """The run with that id, whatever its experiment; raises NoSuchRunError."""
        return workspace.get_run(run_id)

    @staticmethod
    def get_context(allow_offline: bool = True, used_for_context_manager: bool = False) -> Any:
        """Inside a job the run that it belongs to, to log to; outside one a run that only prints.

        With `allow_offline=False` there must be a job around; else the in-job API's RunEnvironmentException is raised.
        """
        from runner.sdk.run_context import current_run

        return current_run(allow_offline=allow_offline)

    @staticmethod
    def list(
        experiment: Experiment,
        type: str | None = None,
        tags: str | Mapping[str, str] | None = None,
        properties: str | Mapping[str, str] | None = None,
        status: str | None = None,
        include_children: bool = False,
        **_others: Any,
    ) -> Iterator[Run]:
        """The runs of an experiment, newest first: a text means that the tag is there, a mapping how it must be."""
        runs = experiment.get_runs(type=type, tags=tags, properties=properties, include_children=include_children)
        return (run for run in runs if status is None or run.get_status() == status)

    @staticmethod
    def list_by_compute(
        compute: Any,
        type: str | None = None,
        tags: str | Mapping[str, str] | None = None,
        properties: str | Mapping[str, str] | None = None,
        status: str | None = None,
    ) -> Iterator[Run]:
        """The runs that were sent to a compute target, newest first within each experiment."""
        for experiment in compute.workspace.experiments.values():
            for run in experiment.find(type=type, tags=tags, properties=properties, status=status):
                if run.get_details()["target"] == compute.name:
                    yield run

    @staticmethod
    def get_submitted_run(**_others: Any) -> Any:
        """v1's older word for `get_context(allow_offline=False)`."""
        return Run.get_context(allow_offline=False)

    @staticmethod
    def add_type_provider(runtype: str, run_factory: Any) -> None:
        """Taken for the sake of v1's scripts: every kind of run here has a class already."""

    # Who it is

    @property
    def id(self) -> str:
        """The run's id."""
        return self._run_id

    @property
    def experiment(self) -> Experiment:
        """The experiment that the run belongs to."""
        return self._experiment

    @property
    def type(self) -> str | None:
        """The kind of run, in v1's word; an interactive run has none."""
        return kind_of(self._read())

    @property
    def number(self) -> int:
        """Counts the runs of the workspace."""
        return self._read().run_number

    def get_portal_url(self) -> str:
        """Where everything about the run can be looked at: its folder."""
        return self._layout.root.absolute().as_uri()

    def get_snapshot_id(self) -> str | None:
        """The id of the snapshot that the run was made from."""
        return self._read().properties.get(_SNAPSHOT_PROPERTY)

    # How it is

    @property
    def status(self) -> str:
        """The status, as `get_status` tells it."""
        return self.get_status()

    def get_status(self) -> str:
        """The latest status: NotStarted, Starting, Preparing, Running, Finalizing, Completed, Failed, Canceled, ..."""
        return self._read().status.value

    def get_detailed_status(self) -> dict[str, Any]:
        """`{"status": ..., "details": ...}`; the details say why a run failed."""
        record = self._read()
        failure = record.failure or {}
        return {"status": record.status.value, "details": failure.get("summary")}

    def get_details(self) -> dict[str, Any]:
        """Everything about the run under v1's keys; `error` is one of a Failed run only."""
        from runner.sdk.run_details import details_of

        return details_of(self._layout, self._read())

    def get_details_with_logs(self) -> dict[str, Any]:
        """As `get_details`, but with the contents of every log in place of its URL."""
        details = self.get_details()
        details["logFiles"] = {name: _read_text(self._layout.root / name) for name in details["logFiles"]}
        return details

    def wait_for_completion(
        self, show_output: bool = False, wait_post_processing: bool = False, raise_on_error: bool = True
    ) -> dict[str, Any]:
        """Returns `get_details()` once the run has ended; `show_output` prints every log of every node meanwhile.

        Raises ActivityFailedException where the run failed, unless told not to; ExperimentExecutionException where
        Ctrl-C ends the printing: the run goes on. With `wait_post_processing=False` a run that takes long to collect
        its files may be returned as Finalizing.
        """
        from runner.sdk import streaming

        if show_output:
            try:
                describe = None if raise_on_error else _error_text
                record = streaming.stream(self._workspace, self._run_id, describe_error=describe)
            except KeyboardInterrupt as interrupt:
                raise ExperimentExecutionException(
                    "The output streaming for the run interrupted.\n"
                    "But the run is still executing on the compute target. \n"
                    f"It is canceled by run.cancel(), or: runner cancel {self._run_id}"
                ) from interrupt
        else:
            record = streaming.wait(self._workspace, self._run_id, post_processing=wait_post_processing)
        if record.status is RunStatus.FAILED and raise_on_error:
            raise ActivityFailedException(_error_text(record))
        return self.get_details()

    # What it made

    def get_metrics(
        self, name: str | None = None, recursive: bool = False, run_type: str | None = None, populate: bool = False
    ) -> dict[str, Any]:
        """What the run logged: a value, a list where it was logged several times, or the columns of a table.

        A picture or another file is its URI, with `populate` what is in it; `recursive` gives it by run id, runs below
        this one included. It can be asked while the run goes on.
        """
        from runner.sdk.run_metrics import metrics_below, metrics_of

        read = metrics_below if recursive else metrics_of
        return read(self._workspace, self._run_id, name=name, is_populated=populate)

    def get_file_names(self) -> Sequence[str]:
        """The names of the run's files: `azureml-logs/...`, `logs/...`, `outputs/...`."""
        from runner.sdk.run_files import list_file_names

        return list_file_names(self._layout)

    def download_file(self, name: str, output_file_path: str | os.PathLike[str] | None = None) -> None:
        """Copies a file of the run, by default into the current folder. Raises UserErrorException where it has none."""
        from runner.sdk.run_files import download_file

        download_file(self._layout, name, None if output_file_path is None else os.fspath(output_file_path))

    def download_files(
        self,
        prefix: str | None = None,
        output_directory: str | os.PathLike[str] | None = None,
        output_paths: Sequence[str] | None = None,
        batch_size: int = 100,
        append_prefix: bool = True,
        timeout_seconds: int | None = None,
    ) -> None:
        """Copies the files whose names start with `prefix` below `output_directory`, or each to its own place.

        `batch_size` and `timeout_seconds` are taken for the sake of v1's scripts: nothing is fetched from afar.
        """
        from runner.sdk.run_files import download_files

        download_files(
            self._layout,
            prefix,
            None if output_directory is None else os.fspath(output_directory),
            output_paths=None if output_paths is None else [*map(os.fspath, output_paths)],
            append_prefix=append_prefix,
        )

    def get_all_logs(self, destination: str | os.PathLike[str] | None = None) -> Sequence[str]:
        """Copies every log below `destination` (default `assets/<run id>`), keeping names; returns the paths.

        Raises UserErrorException where `destination` is a file.
        """
        from runner.sdk.run_files import copy_logs

        return copy_logs(self._layout, os.fspath(destination or os.path.join("assets", self._run_id)))

    def __repr__(self) -> str:
        who = f"Experiment: {self._experiment.name},\nId: {self._run_id}"
        return f"Run({who},\nType: {self.type},\nStatus: {self.get_status()})"

    def _repr_html_(self) -> str:
        """The same as a table, for notebooks."""
        from html import escape

        cells = {"Experiment": self._experiment.name, "Id": self._run_id, "Type": str(self.type)}
        cells["Status"] = self.get_status()
        heads = "".join(f"<th>{name}</th>" for name in (*cells, "Details Page"))
        values = "".join(f"<td>{escape(value)}</td>" for value in cells.values())
        link = f'<td><a href="{escape(self.get_portal_url())}">Run folder</a></td>'
        return f"<table><tr>{heads}</tr><tr>{values}{link}</tr></table>"

    def _read(self) -> RunRecord:
        return read_record(self._layout)

    @property
    def layout(self) -> RunLayout:
        """Where the run's files are."""
        return self._layout


def get_run(experiment: Experiment, run_id: str, *_: Any, **__: Any) -> Run:
    """v1's older word for a run of an experiment by its id."""
    return experiment.run_of(experiment.record_of(run_id))


def _error_text(record: RunRecord) -> str:
    from runner.sdk.run_details import error_of

    return json.dumps(error_of(record), indent=4)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
