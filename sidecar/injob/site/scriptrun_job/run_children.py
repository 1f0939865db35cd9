"""A run's child runs, and what it and they have logged (azureml-v1.md 2.4, 2.5)."""

from __future__ import annotations

import os
import time

from scriptrun_job.errors import UserErrorException
from scriptrun_job.run_notes import RunNotes

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any, Dict, Iterator, List, Optional, Sequence

    from scriptrun_job.run import Run

_CHILD_LIMIT = 100  # A script that asks for more at once fails in Azure ML too.
_CHILD_NUMBER_TAG = "azureml.batch_child_number"


class RunChildren(RunNotes):
    """The runs that the job makes below its own; `_relative` gives the object of one."""

    def _relative(self, child: str, outputs: Optional[str] = None) -> Run:
        raise NotImplementedError

    def get_metrics(
        self, name: Optional[str] = None, recursive: bool = False, run_type: Any = None, populate: bool = False
    ) -> Dict[str, Any]:
        """What the processes on this node have logged; `recursive` gives it by run id, children included."""

        def file_value(kind: str, file: str) -> Any:
            if not populate:
                return f"aml://artifactId/ExperimentRun/dcid.{self.id}/{file}"
            from scriptrun_job.pictures import contents

            return contents(kind, self._files.find(file))

        metrics = self._job.ledger.metrics(self.id, name, file_value)
        if not recursive:
            return metrics
        found = {self.id: metrics} if metrics else {}
        for child in self.get_children(recursive=True):
            of_child = child.get_metrics(name=name, populate=populate)
            if of_child:
                found[child.id] = of_child
        return found

    def child_run(self, name: Optional[str] = None, run_id: Optional[str] = None, outputs: Optional[str] = None) -> Run:
        """Starts a child run. Raises UserErrorException for an id that no run can have."""
        return self._make_child(name, run_id, outputs)

    def create_children(
        self, count: Optional[int] = None, tag_key: Optional[str] = None, tag_values: Optional[Sequence[Any]] = None
    ) -> List[Run]:
        """Starts one child run a tag value, or `count` that are numbered by a tag.

        Raises UserErrorException unless exactly one of the two ways is taken, and for more than 100 at once.
        """
        if count is None:
            if tag_key is None and tag_values is None:
                raise UserErrorException("Either count or tag_key and tag_values must be set")
            if tag_key is None or tag_values is None:
                missing, given = ("tag_key", "tag_values") if tag_key is None else ("tag_values", "tag_key")
                raise UserErrorException(f"{missing} must not be null when {given} is set")
        elif tag_key is not None or tag_values is not None:
            raise UserErrorException("count can not be set when tag_key and tag_values are set")
        values: Sequence[Any] = range(max(0, count)) if count is not None else list(tag_values or ())
        if len(values) > _CHILD_LIMIT:
            raise UserErrorException(f"create_children can not create more than {_CHILD_LIMIT} runs")
        children = []
        for value in values:
            children.append(self._make_child(None, None, None))
            children[-1].set_tags({tag_key or _CHILD_NUMBER_TAG: str(value)})
        return children

    def _make_child(self, name: Optional[str], run_id: Optional[str], outputs: Optional[str]) -> Run:
        job = self._job
        run_id = run_id or f"{job.experiment_name}_{int(time.time())}_{os.urandom(4).hex()}"
        if not _is_run_id(run_id):
            raise UserErrorException(f"{run_id!r} is no run id: letters, digits, '_' and '-', at most 255.")
        value = None if name is None else str(name)
        job.journal.append("child", {"r": run_id, "parent": self.id, "value": value, "origin": "script"})
        return self._relative(run_id, outputs)

    def get_children(
        self,
        recursive: bool = False,
        tags: Any = None,
        properties: Any = None,
        type: Any = None,
        status: Optional[str] = None,
        _rehydrate_runs: bool = True,
    ) -> Iterator[Run]:
        """The child runs that the processes on this node have made, newest first."""
        for _, child_id in sorted(self._facts.children, reverse=True):
            child = self._relative(child_id)
            if recursive:
                yield from child.get_children(True, tags, properties, type, status)
            if (
                type in (None, child.type)
                and status in (None, child.get_status())
                and _has(child.get_tags(), tags)
                and _has(child.get_properties(), properties)
            ):
                yield child


def _is_run_id(text: Any) -> bool:
    import re

    return isinstance(text, str) and re.match(r"[a-zA-Z0-9][\w-]{0,254}\Z", text, re.ASCII) is not None


def _has(found: Dict[str, str], wanted: Any) -> bool:
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return wanted in found
    return all(found.get(key) == str(value) for key, value in wanted.items())
