"""HyperDriveConfig: what `Experiment.submit` takes to try many hyperparameters of one script."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

from runner.sdk.exceptions import UserErrorException
from runner.sdk.hyperdrive.policy import EarlyTerminationPolicy
from runner.sdk.hyperdrive.sampling import HyperParameterSampling
from runner.sweeps.definition import GRID, MAXIMIZE, MINIMIZE, SweepDefinition
from runner.sweeps.sampling import bayesian_library, grid_size

if TYPE_CHECKING:
    from runner.history.run_record import RunRecord
    from runner.sdk.experiment import Experiment

_DEFAULT_DURATION_MINUTES = 10080
_logger = logging.getLogger(__name__)


class PrimaryMetricGoal(Enum):
    """Whether the primary metric is to become large or small."""

    MAXIMIZE = "MAXIMIZE"
    MINIMIZE = "MINIMIZE"

    @staticmethod
    def from_str(goal: str) -> PrimaryMetricGoal:
        """The goal that a text means."""
        return PrimaryMetricGoal[goal.upper()]


class HyperDriveConfig:
    """A ScriptRunConfig, the parameters to try on it, and how. Raises UserErrorException for what cannot be meant."""

    def __init__(
        self,
        hyperparameter_sampling: HyperParameterSampling,
        primary_metric_name: str,
        primary_metric_goal: PrimaryMetricGoal,
        max_total_runs: int,
        max_concurrent_runs: int | None = None,
        max_duration_minutes: float = _DEFAULT_DURATION_MINUTES,
        policy: EarlyTerminationPolicy | None = None,
        estimator: Any = None,
        run_config: Any = None,
        resume_from: Any = None,
        resume_child_runs: Any = None,
        pipeline: Any = None,
        debug_flag: Any = None,
        custom_run_settings: Any = None,
    ) -> None:
        if pipeline is not None:
            raise UserErrorException(
                "HyperDriveConfig(pipeline=) is not provided: the runner runs scripts, not pipelines."
            )
        if resume_from or resume_child_runs:
            raise UserErrorException("HyperDriveConfig(resume_from=, resume_child_runs=) is not provided: start anew.")
        if (estimator is None) == (run_config is None):
            raise UserErrorException("Exactly one of run_config and estimator must be given.")
        if not isinstance(hyperparameter_sampling, HyperParameterSampling):
            raise UserErrorException("hyperparameter_sampling must be a Random-, Grid- or BayesianParameterSampling.")
        if not isinstance(primary_metric_goal, PrimaryMetricGoal):
            raise UserErrorException("primary_metric_goal must be PrimaryMetricGoal.MAXIMIZE or MINIMIZE.")
        if max_total_runs < 1 or (max_concurrent_runs is not None and max_concurrent_runs < 1):
            raise UserErrorException("max_total_runs and max_concurrent_runs must be 1 or more.")
        self.hyperparameter_sampling = hyperparameter_sampling
        self.primary_metric_name = primary_metric_name
        self.primary_metric_goal = primary_metric_goal
        self.max_total_runs = max_total_runs
        self.max_concurrent_runs = min(max_concurrent_runs or max_total_runs, max_total_runs)
        self.max_duration_minutes = max_duration_minutes
        self.policy = policy
        config = run_config if run_config is not None else estimator
        self.run_config = config.to_script_run_config() if hasattr(config, "to_script_run_config") else config

    def definition(self, arguments: tuple[str, ...]) -> SweepDefinition:
        """The sweep with the script's own arguments, without those that are sampled."""
        space = self.hyperparameter_sampling.parameter_space
        seed = self.hyperparameter_sampling.seed
        total = self.max_total_runs
        if self.hyperparameter_sampling.name == GRID:
            total = min(total, grid_size(space))
        is_large = self.primary_metric_goal is PrimaryMetricGoal.MAXIMIZE
        return SweepDefinition(
            sampling=self.hyperparameter_sampling.name,
            space=space,
            seed=int.from_bytes(os.urandom(4), "big") if seed is None else seed,
            metric=self.primary_metric_name,
            goal=MAXIMIZE if is_large else MINIMIZE,
            max_total_runs=total,
            max_concurrent_runs=self.max_concurrent_runs,
            max_duration_minutes=float(self.max_duration_minutes),
            policy=None if self.policy is None else self.policy.to_record(),
            arguments=_without(arguments, space),
        )

    def submit_sweep(self, experiment: Experiment, *, tags: Mapping[str, str], run_id: str) -> RunRecord:
        """Starts the sweep and returns its parent run's record. Raises what Experiment.submit raises."""
        from runner.history.run_kind import SWEEP, SWEEP_KEY, marked
        from runner.sdk.compute.remote import secrets_for
        from runner.sdk.submitting import request_for
        from runner.submission import submit

        if self.hyperparameter_sampling.name == "BAYESIAN":
            bayesian_library()
        request = request_for(experiment, self.run_config, run_id)
        definition = self.definition(request.arguments)

        def describe(record: RunRecord) -> RunRecord:
            extra = marked({**record.extra, SWEEP_KEY: definition.to_record()}, SWEEP)
            return dataclasses.replace(record, extra=extra, nodes=())

        workspace = experiment.workspace.layout
        secrets = secrets_for(str(workspace.root.absolute()), request.compute_target.name)
        return submit(
            request, workspace, environ=os.environ, tags=tags, run_id=run_id, secrets=secrets, describe=describe
        )


def _without(arguments: tuple[str, ...], space: Mapping[str, Any]) -> tuple[str, ...]:
    """The arguments but those whose values are sampled; hyphens in front do not matter."""
    names = {name.lstrip("-") for name in space}
    kept: list[str] = []
    skips = False
    for text in arguments:
        name = text.lstrip("-").partition("=")[0]
        if text.startswith("-") and name in names:
            _logger.warning("the argument %s is left out: it is a hyperparameter, and its sampled value counts", text)
            skips = "=" not in text
        elif skips:
            skips = False
            if text.startswith("--"):
                kept.append(text)
        else:
            kept.append(text)
    return tuple(kept)
