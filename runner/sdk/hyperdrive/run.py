"""HyperDriveRun: a sweep as a run, with the trials as its children."""

from __future__ import annotations

import json
from typing import Any

from runner.history.run_kind import SWEEP_KEY
from runner.history.status import RunStatus
from runner.sdk.run import Run
from runner.sweeps.definition import SweepDefinition, Trial
from runner.sweeps.leader import log_file
from runner.sweeps.trials import TrialReader, status_of


class HyperDriveRun(Run):
    """The run of a sweep. Raises NoSuchRunError where there is none of that id."""

    @property
    def definition(self) -> SweepDefinition:
        """What is tried, and how."""
        return SweepDefinition.from_record(self._read().extra[SWEEP_KEY])

    @property
    def hyperdrive_config(self) -> SweepDefinition:
        """As `definition`."""
        return self.definition

    def get_best_run_by_primary_metric(
        self,
        include_failed: bool = True,
        include_canceled: bool = True,
        include_resume_from_runs: bool = True,
    ) -> Run | None:
        """The child with the best value of the primary metric; None while none logged it."""
        left_out = set()
        if not include_failed:
            left_out.add(RunStatus.FAILED)
        if not include_canceled:
            left_out.add(RunStatus.CANCELED)
        ranked = [trial for trial in self._ranked() if trial.values and self._status(trial) not in left_out]
        return self._experiment.workspace.get_run(ranked[0].run_id) if ranked else None

    def get_children_sorted_by_primary_metric(
        self, top: int = 0, reverse: bool = False, discard_no_metric: bool = False
    ) -> list[dict[str, Any]]:
        """The children from the best to the worst, those without the metric last; `top` of them, 0 for all."""
        ranked = [trial for trial in self._ranked() if trial.values or not discard_no_metric]
        ordered = ranked[::-1] if reverse else ranked
        maximizes = self.definition.maximizes
        return [
            {
                "run_id": trial.run_id,
                "hyperparameters": json.dumps(dict(trial.parameters)),
                "best_primary_metric": trial.best(maximizes=maximizes),
                "status": str(self._status(trial)),
            }
            for trial in (ordered[:top] if top else ordered)
        ]

    def get_hyperparameters(self) -> dict[str, str]:
        """What every child was given, as JSON text by run id."""
        return {trial.run_id: json.dumps(dict(trial.parameters)) for trial in self._trials()}

    def get_metrics(
        self, name: str | None = None, recursive: bool = False, run_type: str | None = None, populate: bool = False
    ) -> dict[str, Any]:
        """What every child has logged, by run id."""
        return {child.id: child.get_metrics(name=name, populate=populate) for child in self.get_children()}

    def get_diagnostics(self) -> str:
        """What the sweep did so far, as text."""
        path = log_file(self._layout)
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def _trials(self) -> list[Trial]:
        return TrialReader(self._workspace, self._run_id, self.definition.metric).read()

    def _ranked(self) -> list[Trial]:
        maximizes = self.definition.maximizes

        def rank(trial: Trial) -> tuple[bool, float]:
            best = trial.best(maximizes=maximizes)
            return best is None, 0.0 if best is None else -best if maximizes else best

        return sorted(self._trials(), key=rank)

    def _status(self, trial: Trial) -> RunStatus:
        return status_of(self._workspace, trial.run_id)
