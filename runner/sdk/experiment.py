"""Experiment: a name that runs are submitted under (reference azureml-v1.md 1.2)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any

from runner.errors import ConfigError, RunnerError, SnapshotError, UsageError
from runner.sdk.exceptions import AzureMLException, SnapshotException, UserErrorException
from runner.sdk.run import TYPE, Run, as_tags
from runner.sdk.script_run_config import ScriptRunConfig
from sidecar.contract.layout import is_experiment_name, is_run_id, run_id_seconds

if TYPE_CHECKING:
    from runner.history.run_record import RunRecord
    from runner.sdk.workspace import Workspace


class Experiment:
    """The runs of one name in a workspace; it comes to be with its first run.

    Raises UserErrorException for a name that v1 would not take.
    """

    def __init__(self, workspace: Workspace, name: str) -> None:
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

    def submit(
        self,
        config: ScriptRunConfig,
        tags: Mapping[str, Any] | None = None,
        show_output: bool = False,
        run_id: str | None = None,
    ) -> Run:
        """Starts a run of `config` and returns it once it is handed over; `show_output` follows it to its end first.

        A run that fails while it is followed is returned like any other: only waiting for it raises. `run_id` must
        have the form <experiment>_<seconds>_<8 hex>. Raises ExperimentExecutionException, UserErrorException,
        SnapshotException, or what `runner.submission.submit` raises; then no run was created.
        """
        if not isinstance(config, ScriptRunConfig):
            raise UserErrorException(f"submit takes a ScriptRunConfig. Found {type(config).__name__}.")
        if run_id is not None:
            self._check_run_id(run_id)
        record = self._hand_over(config, as_tags(tags or {}), run_id)
        run = Run(self, record.run_id)
        if show_output:
            run.wait_for_completion(show_output=True, raise_on_error=False)
        return run

    def get_runs(
        self,
        type: str | None = None,
        tags: str | Mapping[str, str] | None = None,
        properties: str | Mapping[str, str] | None = None,
        include_children: bool = False,
    ) -> Iterator[Run]:
        """The experiment's runs, newest first: a text means that the tag is there, a mapping how it must be.

        Records are read only as far as the caller goes.
        """
        if type not in (None, TYPE):
            return
        for record in self._records():
            if _has(record.tags, tags) and _has(record.properties, properties):
                yield Run(self, record.run_id)

    def __repr__(self) -> str:
        return f"Experiment(Name: {self._name},\nWorkspace: {self._workspace.name})"

    def _hand_over(self, config: ScriptRunConfig, tags: Mapping[str, str], run_id: str | None) -> RunRecord:
        from runner.sdk.handover import to_request
        from runner.submission import submit

        workspace = self._workspace.layout
        try:
            request = to_request(config, experiment_name=self._name, workspace=workspace)
            return submit(request, workspace, environ=os.environ, tags=tags, run_id=run_id)
        except AzureMLException:
            raise
        except SnapshotError as error:
            raise SnapshotException(str(error), error) from error
        except (ConfigError, UsageError) as error:
            if type(error) not in (ConfigError, UsageError):
                raise
            raise UserErrorException(str(error), error) from error

    def _check_run_id(self, run_id: str) -> None:
        if not is_run_id(run_id) or not run_id.startswith(f"{self._name}_"):
            raise UserErrorException(
                f"Invalid run_id {run_id!r}: it must have the form {self._name}_<seconds>_<8 hexadecimal digits>."
            )

    def _records(self) -> Iterator[RunRecord]:
        from runner.history.run_record import read_record
        from runner.store.run_lookup import list_run_ids

        layout = self._workspace.layout
        run_ids = [run_id for run_id in list_run_ids(layout) if run_id.startswith(f"{self._name}_")]
        for _, same_second in groupby(sorted(run_ids, key=run_id_seconds, reverse=True), key=run_id_seconds):
            records = []
            for run_id in same_second:
                try:
                    records.append(read_record(layout.run(run_id)))
                except RunnerError:
                    continue  # removed meanwhile, or not readable: the others can still be listed
            records.sort(key=lambda record: record.created_utc, reverse=True)
            yield from (record for record in records if record.experiment_name == self._name)


def _has(found: Mapping[str, str], wanted: str | Mapping[str, str] | None) -> bool:
    if wanted is None:
        return True
    if isinstance(wanted, str):
        return wanted in found
    return all(found.get(key) == str(value) for key, value in wanted.items())
