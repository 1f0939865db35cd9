"""Leads a sweep to its end: starts trials, looks at what they log, stops the poor ones. May be killed and resumed."""

from __future__ import annotations

import dataclasses
import select
import signal
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from runner import wiring
from runner.cancellation import request_cancel
from runner.errors import RunnerError
from runner.history.controller_crash import note_crash
from runner.history.record_update import update_record
from runner.history.run_kind import SWEEP_KEY
from runner.history.run_record import RunRecord, read_record, with_status
from runner.history.status import RunStatus
from runner.submission import resume_if_orphaned
from runner.sweeps import policies
from runner.sweeps.definition import SweepDefinition, Trial
from runner.sweeps.sampling import propose
from runner.sweeps.trials import TrialReader, is_there, note_trial, start_trial
from sidecar.contract import bell, lock
from sidecar.contract.layout import RunLayout, WorkspaceLayout

if TYPE_CHECKING:
    from runner.transports.ssh.authentication import Secrets

# Between two looks at the trials. Shorter: a look at a hundred trials costs; longer: a free place stays empty.
_LOOK_S = 0.3


def log_file(run: RunLayout) -> Path:
    """What the sweep did, in v1's words."""
    return run.azureml_logs / "hyperdrive.txt"


def lead(workspace: WorkspaceLayout, run_id: str, *, has_secrets: bool = False) -> bool:
    """Takes the sweep to its end in this process; False where another controller has it.

    `has_secrets`: what the trials' logins need is read from standard input first.
    """
    run = workspace.run(run_id)
    secrets = wiring.read_secrets() if has_secrets else None
    for number in (signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    held = lock.take(run.controller_lock)
    if held is None:
        return False
    try:
        Leader(workspace, run_id, secrets).run()
    except Exception as error:  # The door of this process: whoever waits for the run is told.
        note_crash(run, error)
        raise
    finally:
        held.close()
    return True


class Leader:
    """The controller of one sweep. The caller holds the run's lock."""

    def __init__(self, workspace: WorkspaceLayout, run_id: str, secrets: Secrets | None) -> None:
        self._workspace = workspace
        self._secrets = secrets
        self._run = workspace.run(run_id)
        self._record = read_record(self._run)
        self._definition = SweepDefinition.from_record(self._record.extra[SWEEP_KEY])
        self._reader = TrialReader(workspace, run_id, self._definition.metric)
        self._looked_at: dict[str, int] = {}
        self._is_exhausted = False

    def run(self) -> None:
        """Returns with a terminal status on disk."""
        if self._record.status.is_terminal:
            return
        if self._record.start_time_utc is None:
            self._say("API", "Experiment created")
            self._set(RunStatus.RUNNING)
        descriptor = bell.hang(self._run.controller_bell)
        try:
            while not self._step():
                select.select([descriptor], [], [], _LOOK_S)
                bell.silence(descriptor)
        except RunnerError as error:
            self._say("CONTROLLER", str(error))
            self._stop_all(self._trials())
            self._end(RunStatus.FAILED, str(error))

    def _step(self) -> bool:
        """Does what is to be done now; True once the sweep has ended."""
        trials = self._trials()
        for trial in trials:
            if not is_there(self._workspace, trial.run_id):  # Noted, and killed before it was started.
                self._start(trial)
            elif not trial.is_finished:
                resume_if_orphaned(self._workspace, trial.run_id, self._secrets)
        running = [trial for trial in trials if not trial.is_finished]
        if self._run.cancel_request.exists() or self._is_over_time():
            return self._wind_up(running)
        self._stop_poor(trials)
        free = self._definition.max_concurrent_runs - len(running)
        while free > 0 and len(trials) < self._definition.max_total_runs and self._start_next(trials):
            trials, free = self._trials(), free - 1
        if any(not trial.is_finished for trial in trials):
            return False
        self._end(*self._outcome(trials))
        return True

    def _start_next(self, trials: list[Trial]) -> bool:
        if self._is_exhausted:
            return False
        parameters = propose(self._definition, len(trials), trials)
        if parameters is None:
            self._is_exhausted = True
            return False
        self._say("GENERATOR", "Trying to sample '1' jobs from the hyperparameter space")
        run_id = note_trial(self._workspace, self._record, len(trials), parameters)
        self._say("SCHEDULER", f"Scheduling job, id='{run_id}'")
        self._start(Trial(index=len(trials), run_id=run_id, parameters=parameters))
        return True

    def _start(self, trial: Trial) -> None:
        start_trial(self._workspace, self._record, self._definition, trial, self._secrets)

    def _stop_poor(self, trials: list[Trial]) -> None:
        for run_id in policies.to_stop(self._definition, trials, self._looked_at):
            self._say("POLICY", f"Canceling job, id='{run_id}'")
            request_cancel(self._workspace, run_id)
        policy = self._definition.policy
        if policy is not None:
            for trial in trials:
                self._looked_at[trial.run_id] = policies.due_interval(policy, len(trial.values))

    def _wind_up(self, running: list[Trial]) -> bool:
        if self._run.cancel_request.exists():
            self._set(RunStatus.CANCEL_REQUESTED)
        self._stop_all(running)
        if running:
            return False
        is_canceled = self._run.cancel_request.exists()
        self._end(*((RunStatus.CANCELED, None) if is_canceled else self._outcome(self._trials())))
        return True

    def _stop_all(self, trials: list[Trial]) -> None:
        for trial in trials:
            if not trial.is_finished and is_there(self._workspace, trial.run_id):
                request_cancel(self._workspace, trial.run_id)

    def _is_over_time(self) -> bool:
        started = read_record(self._run).start_time_utc
        if started is None:
            return False
        elapsed = datetime.now(timezone.utc) - datetime.fromisoformat(started)
        return elapsed.total_seconds() > self._definition.max_duration_minutes * 60

    def _outcome(self, trials: list[Trial]) -> tuple[RunStatus, str | None]:
        """Completed, unless every trial failed; then why the first one did."""
        records = [read_record(self._workspace.run(trial.run_id)) for trial in trials]
        failed = [record for record in records if record.status is RunStatus.FAILED]
        if records and len(failed) == len(records):
            first = (failed[0].failure or {}).get("summary")
            return RunStatus.FAILED, f"all {len(failed)} trials failed; {failed[0].run_id}: {first}"
        return RunStatus.COMPLETED, None

    def _trials(self) -> list[Trial]:
        return self._reader.read()

    def _set(self, status: RunStatus, failure: str | None = None) -> None:
        def change(record: RunRecord) -> RunRecord:
            if record.status.is_terminal:
                return record
            changed = with_status(record, status, at=wiring.utc_now())
            return changed if failure is None else dataclasses.replace(changed, failure=_failure(failure))

        update_record(self._run, change)

    def _end(self, status: RunStatus, failure: str | None = None) -> None:
        self._say("CONTROLLER", f"Experiment was {status.value.upper()}")
        self._set(status, failure)

    def _say(self, part: str, sentence: str) -> None:
        now = datetime.now(timezone.utc).replace(tzinfo=None).isoformat(timespec="microseconds")
        with open(log_file(self._run), "a", encoding="utf-8") as log:
            log.write(f"<START>[{now}][{part}][INFO]{sentence}<END>\n")


def _failure(summary: str) -> dict[str, object]:
    first = dict.fromkeys(
        ("process_name", "node_id", "at", "exit_code", "signal", "exception", "traceback", "log", "hint")
    )
    return {"first": {**first, "kind": "exception", "last_lines": []}, "summary": summary, "others": []}
