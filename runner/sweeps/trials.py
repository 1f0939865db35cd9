"""The trials of a sweep on disk: each is noted before it is started, so that a killed sweep starts none twice."""

from __future__ import annotations

import dataclasses
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner import wiring
from runner.errors import NoSuchRunError
from runner.handover import hand_over
from runner.history.job_records import record_files
from runner.history.metrics_file import read_metrics
from runner.history.run_kind import SCRIPT, SWEEP_KEY, marked
from runner.history.run_record import RunRecord, iso_utc, read_record
from runner.history.status import RunStatus
from runner.spec.request import RunRequest
from runner.submission import create_folder, next_run_number
from runner.sweeps.definition import SweepDefinition, Trial
from sidecar.contract import publish
from sidecar.contract.layout import RunLayout, WorkspaceLayout, new_run_id

if TYPE_CHECKING:
    from runner.transports.ssh.authentication import Secrets

# What v1 calls it; scripts look there for what a child was given.
PARAMETERS_TAG = "hyperparameters"


def trials_file(run: RunLayout) -> Path:
    """JSON lines: index, run_id and parameters of every trial, noted before it is started."""
    return run.state / "trials.jsonl"


class TrialReader:
    """Reads the trials of a sweep again and again; of one that has ended, or has said nothing new, only once."""

    def __init__(self, workspace: WorkspaceLayout, run_id: str, metric: str) -> None:
        self._workspace = workspace
        self._file = trials_file(workspace.run(run_id))
        self._metric = metric
        self._finished: dict[str, Trial] = {}
        self._values: dict[str, tuple[int, tuple[float, ...]]] = {}

    def read(self) -> list[Trial]:
        """Every trial that was noted, with what it has logged; one whose folder is not there yet has logged nothing."""
        return [self._trial(entry) for entry in publish.read_records(self._file)]

    def _trial(self, entry: Mapping[str, Any]) -> Trial:
        run_id = str(entry["run_id"])
        if run_id in self._finished:
            return self._finished[run_id]
        run = self._workspace.run(run_id)
        # In this order: what is read of a run that has ended is all that there is.
        is_finished = is_there(self._workspace, run_id) and read_record(run).status.is_terminal
        trial = Trial(
            index=entry["index"],
            run_id=run_id,
            parameters=entry["parameters"],
            values=self._values_of(run),
            is_finished=is_finished,
        )
        if is_finished:
            self._finished[run_id] = trial
        return trial

    def _values_of(self, run: RunLayout) -> tuple[float, ...]:
        size_bytes = sum(os.stat(path).st_size for path, _ in record_files(run))
        known_bytes, values = self._values.get(run.root.name, (0, ()))
        if size_bytes != known_bytes:
            values = values_of(run, self._metric)
            self._values[run.root.name] = size_bytes, values
        return values


def is_there(workspace: WorkspaceLayout, run_id: str) -> bool:
    """Whether the trial's run was created."""
    return workspace.run(run_id).record.exists()


def status_of(workspace: WorkspaceLayout, run_id: str) -> RunStatus:
    """The status of a trial; one that was noted and has no folder yet, or whose folder was removed, is NotStarted."""
    try:
        return read_record(workspace.run(run_id)).status
    except NoSuchRunError:
        return RunStatus.NOT_STARTED


def values_of(run: RunLayout, metric: str) -> tuple[float, ...]:
    """The numbers that a run logged under a name, in order of time."""
    logged = read_metrics(run).only(metric).by_name().get(metric, [])
    numbers = [float(value) for value in logged if isinstance(value, (int, float)) and not isinstance(value, bool)]
    return tuple(number for number in numbers if not math.isnan(number))


def note_trial(workspace: WorkspaceLayout, parent: RunRecord, index: int, parameters: Mapping[str, Any]) -> str:
    """Notes the next trial and returns the id that its run will have."""
    run_id = new_run_id(parent.experiment_name, epoch_s=int(time.time()))
    entry = {"index": index, "run_id": run_id, "parameters": dict(parameters)}
    publish.append_record(trials_file(workspace.run(parent.run_id)), entry)
    return run_id


def start_trial(
    workspace: WorkspaceLayout,
    parent: RunRecord,
    definition: SweepDefinition,
    trial: Trial,
    secrets: Secrets | None = None,
) -> None:
    """Creates the trial's run from the parent's snapshot and environment, and hands it over.

    Raises WorkspaceError or MachineError.
    """
    import json

    request = _request(RunRequest.from_record(parent.request), definition, trial.parameters)
    extra = {key: value for key, value in parent.extra.items() if key != SWEEP_KEY}
    record = RunRecord(
        run_id=trial.run_id,
        experiment_name=parent.experiment_name,
        status=RunStatus.NOT_STARTED,
        created_utc=iso_utc(wiring.utc_now()),
        script_name=parent.script_name,
        target=parent.target,
        name=f"{parent.name}_{trial.index}",
        parent_run_id=parent.run_id,
        user_id=parent.user_id,
        run_number=next_run_number(workspace),
        tags={**request.tags, PARAMETERS_TAG: json.dumps(dict(trial.parameters))},
        properties=dict(parent.properties),
        nodes=wiring.node_ids(request),
        request=request.to_record(),
        snapshot=parent.snapshot,
        extra=marked(extra, SCRIPT),
    )
    run = create_folder(workspace, record)
    hand_over(workspace, trial.run_id, run, secrets)


def _request(template: RunRequest, definition: SweepDefinition, parameters: Mapping[str, Any]) -> RunRequest:
    """The request with the parameters behind the arguments, as `--name value`."""
    given = [text for name, value in parameters.items() for text in (_flag(name), str(value))]
    if template.command is not None:
        import shlex

        return dataclasses.replace(template, command=f"{template.command} {shlex.join(given)}")
    return dataclasses.replace(template, arguments=(*definition.arguments, *given))


def _flag(name: str) -> str:
    return name if name.startswith("-") else f"--{name}"
