"""What all parts of a run share: which run of the job it is, where its records go and its files lie."""

from __future__ import annotations

import os

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any, Optional

    from scriptrun_job.artifacts import Artifacts
    from scriptrun_job.job import Job
    from scriptrun_job.journal import Journal
    from scriptrun_job.ledger import Facts


class RunBase:
    """The job's own run, or a child: then its records carry `_child`, its id."""

    _job: Job
    _journal: Journal
    _child: Optional[str]
    _mark: str

    def _attach(self, job: Job, child: Optional[str]) -> None:
        self._job = job
        self._journal = job.journal
        self._child = child
        # A run id holds nothing that JSON would escape.
        self._mark = f',"r":"{child}"' if child is not None else ""

    @property
    def id(self) -> str:
        """The run's id."""
        return self._child or self._job.run_id

    def _say(self, kind: str, **fields: Any) -> None:
        if self._child is not None:
            fields["r"] = self._child
        self._journal.append(kind, fields)

    @property
    def _facts(self) -> Facts:
        return self._job.ledger.of(self.id)

    @property
    def _files(self) -> Artifacts:
        from scriptrun_job.artifacts import Artifacts  # Most scripts only log numbers.

        state = os.path.dirname(os.path.dirname(self._journal.path))
        return Artifacts(self._job.root, state, run_id=self.id, is_child=self._child is not None)
