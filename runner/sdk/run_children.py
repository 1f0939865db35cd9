"""A run's parent and children: runs of their own, which name the run they belong to (azureml-v1.md 2.5)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runner.sdk.exceptions import UserErrorException

if TYPE_CHECKING:
    from runner.sdk.experiment import Experiment
    from runner.sdk.run import Run
    from runner.sdk.script_run_config import ScriptRunConfig

_LIMIT = 100  # of one call; a script that asks for more fails in Azure ML too
_NUMBER_TAG = "azureml.batch_child_number"


class RunChildren:
    """The runs above and below a run."""

    _experiment: Experiment
    _run_id: str

    @property
    def parent(self) -> Run | None:
        """The run that this one is a child of, if any."""
        parent_id = self._experiment.record_of(self._run_id).parent_run_id
        return None if parent_id is None else self._experiment.workspace.get_run(parent_id)

    def child_run(self, name: str | None = None, run_id: str | None = None, outputs: str | None = None) -> Run:
        """Starts an interactive run below this one; its name follows this one's, as v1 has it."""
        own = self._experiment.record_of(self._run_id).name
        return self._experiment.begin(
            name=f"{own}>{name}" if name else None, run_id=run_id, outputs=outputs, parent_run_id=self._run_id
        )

    def create_children(
        self, count: int | None = None, tag_key: str | None = None, tag_values: Sequence[Any] | None = None
    ) -> list[Run]:
        """Starts one child run a tag value, or `count` that are numbered by a tag.

        Raises UserErrorException unless exactly one of the two ways is taken, and for more than 100 at once.
        """
        if count is None and (tag_key is None or tag_values is None):
            raise UserErrorException("Either count or tag_key and tag_values must be set")
        if count is not None and not (tag_key is None and tag_values is None):
            raise UserErrorException("count can not be set when tag_key and tag_values are set")
        values: Sequence[Any] = list(tag_values or ()) if count is None else range(max(0, count))
        if len(values) > _LIMIT:
            raise UserErrorException(f"create_children can not create more than {_LIMIT} runs")
        key = tag_key or _NUMBER_TAG
        return [self._experiment.begin(parent_run_id=self._run_id, tags={key: str(value)}) for value in values]

    def get_children(
        self,
        recursive: bool = False,
        tags: str | Mapping[str, str] | None = None,
        properties: str | Mapping[str, str] | None = None,
        type: str | None = None,
        status: str | None = None,
        _rehydrate_runs: bool = True,
    ) -> Iterator[Run]:
        """The runs that are children of this one, newest first; `recursive` takes in theirs."""
        found = self._experiment.find(
            type=type, tags=tags, properties=properties, status=status, parents=[self._run_id]
        )
        if not recursive:
            return found
        ids = {self._run_id}
        for record in sorted(self._experiment.records(since=self._run_id), key=lambda record: record.created_utc):
            if record.parent_run_id in ids:
                ids.add(record.run_id)
        return self._experiment.find(type=type, tags=tags, properties=properties, status=status, parents=sorted(ids))

    def submit_child(self, config: ScriptRunConfig, tags: Mapping[str, Any] | None = None, **_others: Any) -> Run:
        """Submits a run of `config` as a child of this one."""
        return self._experiment.submit(config, tags=tags, _parent_run_id=self._run_id)

    def take_snapshot(self, file_or_folder_path: str | os.PathLike[str]) -> str:
        """Takes a snapshot for a run that has none yet; returns its id. Raises SnapshotException where it has one."""
        from runner.sdk.run_snapshot import take

        return take(self._experiment, self._run_id, os.fspath(file_or_folder_path))

    def restore_snapshot(self, snapshot_id: str | None = None, path: str | os.PathLike[str] | None = None) -> str:
        """Writes the snapshot as `<snapshot id>.zip` into the folder `path`, by default here; returns its path."""
        from runner.sdk.run_snapshot import restore

        return restore(self._experiment, self._run_id, snapshot_id, os.fspath(path or os.curdir))
