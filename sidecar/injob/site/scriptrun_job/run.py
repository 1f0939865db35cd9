"""`azureml.core.Run` inside a job (azureml-v1.md 2): the job's own run, and the child runs that it makes."""

from __future__ import annotations

import os
import time

from scriptrun_job import job as jobs
from scriptrun_job import system_log
from scriptrun_job.errors import (
    RunEnvironmentException,
    SnapshotException,
    UserErrorException,
    not_provided,
)
from scriptrun_job.metric_log import MetricLog
from scriptrun_job.offline_run import OfflineRun
from scriptrun_job.run_children import RunChildren
from scriptrun_job.run_files import RunFiles
from scriptrun_job.run_notes import warn

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any, Dict, NoReturn, Optional, Sequence

    from scriptrun_job.inputs import JobDatasets
    from scriptrun_job.job import Job
    from scriptrun_job.workspace import Experiment

_TYPE = "azureml.scriptrun"
_TERMINAL = frozenset(("Completed", "Failed", "Canceled"))
_SNAPSHOT_PROPERTY = "ContentSnapshotId"
_WAIT_S = 1.0
_SUBMITTER = "a job cannot reach the submitting machine; do it there"


class Run(MetricLog, RunFiles, RunChildren):
    """A run as its own job sees it. `Run.get_context()` gives the job's run; its children are made by `child_run`.

    `Run(experiment, run_id)` is the job's own run or one of its children. Raises UserErrorException for another.
    """

    _by_id: Dict[str, Any] = {}  # noqa: RUF012 - ClassVar would need `typing`

    def __init__(self, experiment: Any, run_id: str, outputs: Optional[str] = None, **_others: Any) -> None:
        job = jobs.current()
        if job is None or (run_id != job.run_id and not job.ledger.of(run_id).parent):
            raise UserErrorException(not_provided(f"the run {run_id}", "a job sees its own run and its child runs"))
        self._attach(job, None if run_id == job.run_id else run_id)
        self._outputs = outputs

    @staticmethod
    def get_context(allow_offline: bool = True, used_for_context_manager: bool = False, **_others: Any) -> Any:
        """The run that this process belongs to, the same object at every call.

        Outside a job it is an offline run, which prints what it would log; with `allow_offline=False` that raises
        RunEnvironmentException.
        """
        job = jobs.current()
        if job is None and not allow_offline:
            raise RunEnvironmentException
        run_id = "" if job is None else job.run_id
        run = Run._by_id.get(run_id)
        if run is None:  # Of two threads that come here at once, the second takes the first one's run.
            run = Run._by_id.setdefault(run_id, OfflineRun() if job is None else _new(job, None))
            if job is not None:
                system_log.write("azureml.run", "DEBUG", f"metrics of {run_id} go to {job.journal.path}")
        return run

    @staticmethod
    def get_submitted_run(**_others: Any) -> Any:
        """v1's older word for `get_context(allow_offline=False)`."""
        return Run.get_context(allow_offline=False)

    @staticmethod
    def get(workspace: Any, run_id: str) -> Run:
        """The job's own run, or a child of it. Raises UserErrorException for another."""
        return Run(None, run_id)

    # Who it is

    @property
    def type(self) -> Optional[str]:
        """The kind of run, in v1's word; a child run has none."""
        return _TYPE if self._child is None else None

    @property
    def number(self) -> int:
        """Counts the runs of the workspace; a child run has the number of the job's."""
        return int(self._job.about.get("run_number") or 0)

    @property
    def experiment(self) -> Experiment:
        """The experiment that the run belongs to."""
        from scriptrun_job.workspace import Experiment, of_job

        return Experiment(of_job(self._job), self._job.experiment_name)

    @property
    def parent(self) -> Any:
        """The run that this one is a child of, if any."""
        if self._child is not None:
            above = self._facts.parent
            return _new(self._job, None if above == self._job.run_id else above)
        parent = self._job.about.get("parent_run_id")
        return _StrangeRun(str(parent)) if parent else None

    @property
    def input_datasets(self) -> JobDatasets:
        """Where the job's inputs lie, by name."""
        from scriptrun_job.inputs import input_datasets

        return input_datasets()

    @property
    def output_datasets(self) -> JobDatasets:
        """Where the job's outputs go, by name."""
        from scriptrun_job.inputs import output_datasets

        return output_datasets()

    def get_environment(self) -> Any:
        """The environment that the run was submitted with."""
        from scriptrun_job.environment import Environment

        return Environment.of_request(self._job.about.get("environment") or {})

    def get_secret(self, name: str) -> str:
        """A secret that the job was given. Raises UserErrorException where it was not."""
        from scriptrun_job.workspace import Keyvault

        return Keyvault().get_secret(name)

    def get_secrets(self, secrets: Sequence[str]) -> Dict[str, Optional[str]]:
        """Several secrets by name; None for those that there are not."""
        from scriptrun_job.workspace import Keyvault

        return Keyvault().get_secrets(secrets)

    def get_portal_url(self) -> str:
        """Where everything about the run can be looked at on this node: its folder."""
        return f"file://{self._job.root}"

    @property
    def portal_url(self) -> str:
        """As `get_portal_url`."""
        return self.get_portal_url()

    @staticmethod
    def get_docs_url() -> str:
        """v1 links its documentation; there is none to open here."""
        return ""

    # How it is

    @property
    def status(self) -> str:
        """The status, as `get_status` tells it."""
        return self.get_status()

    def get_status(self) -> str:
        """Running for the job's own run: its processes decide how it ends. A child's is what was said of it."""
        return (self._facts.status or "Running") if self._child is not None else "Running"

    def get_detailed_status(self) -> Dict[str, Any]:
        """`{"status": ..., "details": ...}`."""
        return {"status": self.get_status(), "details": self._facts.error}

    def get_details(self) -> Dict[str, Any]:
        """What the job knows of the run, under v1's keys."""
        about = self._job.about if self._child is None else {}
        details: Dict[str, Any] = {
            "runId": self.id,
            "target": self._job.about.get("target"),
            "status": self.get_status(),
            "startTimeUtc": about.get("start_time_utc"),
            "services": {},
            "properties": self.get_properties(),
            "inputDatasets": [],
            "outputDatasets": [],
            "runDefinition": about.get("run_definition"),
            "logFiles": {name: f"file://{self._files.find(name)}" for name in self.get_file_names() if _is_log(name)},
        }
        if self._facts.error:
            details["error"] = {"error": {"code": "UserError", "message": self._facts.error}}
        return details

    def start(self) -> None:
        """Marks a child run as Running; the job's own is."""
        self._end("Running")

    def complete(self, _set_status: bool = True) -> None:
        """Marks a child run as Completed; of the job's own run only its processes decide."""
        self._keep_outputs()
        self._end("Completed")

    def fail(self, error_details: Any = None, error_code: Any = None, _set_status: bool = True) -> None:
        """Marks a child run as Failed; of the job's own run only its processes decide."""
        self._keep_outputs()
        words = [str(word) for word in (error_code, error_details) if word is not None]
        self._end("Failed", ": ".join(words) or None)

    def cancel(self) -> None:
        """Marks a child run as Canceled; the job's own run cannot be canceled from within, and a warning says so."""
        if self._child is None:
            warn("run.cancel() inside the job does nothing: end the script, or cancel the run from outside")
        self._end("Canceled")

    def _end(self, status: str, error: Optional[str] = None) -> None:
        if self._child is not None:
            self._say("status", status=status, error=error)

    def _keep_outputs(self) -> None:
        if self._outputs and os.path.isdir(self._outputs):
            self.upload_folder("outputs", self._outputs)
            self._outputs = None

    def flush(self, timeout_seconds: int = 300) -> None:
        """Returns at once: whatever was logged is on disk already."""

    def clean(self) -> None:
        """Does nothing: the runner removes what is left when the job has ended."""

    def wait_for_completion(
        self, show_output: bool = False, wait_post_processing: bool = False, raise_on_error: bool = True
    ) -> Dict[str, Any]:
        """Waits for the end of a child run. Raises UserErrorException for the job's own: it would wait for itself."""
        if self._child is None:
            raise UserErrorException("A job cannot wait for the completion of its own run.")
        while self.get_status() not in _TERMINAL:
            time.sleep(_WAIT_S)
        if raise_on_error and self.get_status() == "Failed":
            from scriptrun_job.errors import ActivityFailedException

            raise ActivityFailedException(self._facts.error or "")
        return self.get_details()

    def _relative(self, child: str, outputs: Optional[str] = None) -> Run:
        return _new(self._job, child, outputs)

    # Its snapshot

    def get_snapshot_id(self) -> Optional[str]:
        """The id of the snapshot that the run was made from."""
        return self.get_properties().get(_SNAPSHOT_PROPERTY)

    def take_snapshot(self, file_or_folder_path: str) -> NoReturn:
        """Raises SnapshotException: the run has one."""
        raise SnapshotException("Cannot take snapshot as the run already has one")

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(not_provided(f"Run.{name}", _SUBMITTER))

    def __reduce__(self) -> Any:
        """In another process of the job it is that process's run."""
        return (Run.get_context, ()) if self._child is None else (Run, (None, self._child))

    def __repr__(self) -> str:
        who = f"Experiment: {self._job.experiment_name},\nId: {self.id}"
        return f"Run({who},\nType: {self.type},\nStatus: {self.get_status()})"

    def __enter__(self) -> Run:
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is None or (issubclass(kind, SystemExit) and error.code in (None, 0)):
            self.complete()
        else:
            self.fail(error_details=f"{kind.__name__}: {error}")


def get_run(experiment: Any, run_id: str, *_arguments: Any, **_named: Any) -> Run:
    """v1's older word for `Run.get`."""
    return Run(experiment, run_id)


class _StrangeRun:
    """A run that the job knows by its id alone: the parent of the job's own."""

    def __init__(self, run_id: str) -> None:
        self.id = run_id

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(not_provided(f"parent.{name}", _SUBMITTER))

    def __repr__(self) -> str:
        return f"Run(Id: {self.id})"


def _new(job: Job, child: Optional[str], outputs: Optional[str] = None) -> Run:
    run = Run.__new__(Run)
    run._attach(job, child)
    run._outputs = outputs
    return run


def _is_log(name: str) -> bool:
    """Whether it is one of v1's `logFiles`: the numbered ones, and what is in `logs/`."""
    return name.split("/")[0].endswith("logs")
