"""What this process knows of its job: from its environment, and from a file that the runner wrote."""

from __future__ import annotations

import os

from scriptrun_job import names
from scriptrun_job.errors import UserErrorException
from scriptrun_job.journal import Journal, of_job

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any, Dict, Optional

    from scriptrun_job.ledger import Ledger


class Job:
    """The job around this process; `about` is what the submitter said of the run, empty where it said nothing."""

    def __init__(self, run_id: str, journal: Journal) -> None:
        self.run_id = run_id
        self.journal = journal
        self.experiment_name = os.environ.get(names.AZUREML_EXPERIMENT_NAME, "")
        self._about: Optional[Dict[str, Any]] = None
        self._ledger: Optional[Ledger] = None

    @property
    def about(self) -> Dict[str, Any]:
        """The facts about the run from before the job: tags, properties, names, environment, workspace."""
        if self._about is None:
            self._about = _read_object(os.environ.get(names.JOB_CONTEXT_FILE, ""))
        return self._about

    @property
    def ledger(self) -> Ledger:
        """Everything that the processes of the job on this node have said of the run."""
        if self._ledger is None:
            from scriptrun_job.ledger import Ledger  # Most scripts only log.

            self._ledger = Ledger(os.path.dirname(self.journal.path), self.run_id)
        self._ledger.refresh()
        return self._ledger

    @property
    def root(self) -> str:
        """The folder of the run on this node. Raises UserErrorException where the runner named none."""
        root = os.environ.get(names.RUN_ROOT)
        if not root:
            raise UserErrorException(f"{names.RUN_ROOT} is not set: this process was not started by the runner.")
        return root


def current() -> Optional[Job]:
    """The job that this process belongs to; None outside one."""
    run_id, journal = os.environ.get(names.AZUREML_RUN_ID), of_job()
    return Job(run_id, journal) if run_id and journal is not None else None


def _read_object(path: str) -> Dict[str, Any]:
    if not path:
        return {}
    import json

    try:
        with open(path, encoding="utf-8") as stream:
            value = json.load(stream)
    except (OSError, ValueError):  # Then the script sees what the processes themselves said.
        return {}
    return value if isinstance(value, dict) else {}
