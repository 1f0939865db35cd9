"""When a trial is stopped before its end."""

from __future__ import annotations

from typing import Any

from runner.sdk.exceptions import UserErrorException
from runner.sweeps.policies import BANDIT, MEDIAN, TRUNCATION


class EarlyTerminationPolicy:
    """Looks at a trial every `evaluation_interval` values of its primary metric, from the `delay_evaluation`-th on."""

    _name: str | None = None

    def __init__(self, evaluation_interval: int = 1, delay_evaluation: int = 0) -> None:
        if evaluation_interval < 1 or delay_evaluation < 0:
            raise UserErrorException("evaluation_interval must be 1 or more, delay_evaluation 0 or more.")
        self.evaluation_interval = evaluation_interval
        self.delay_evaluation = delay_evaluation

    def to_record(self) -> dict[str, Any] | None:
        """The policy as the sweep keeps it; None where nothing is stopped."""
        if self._name is None:
            return None
        return {"name": self._name, **{key: value for key, value in vars(self).items() if value is not None}}


class NoTerminationPolicy(EarlyTerminationPolicy):
    """Every trial runs to its own end."""


class BanditPolicy(EarlyTerminationPolicy):
    """Stops a trial that is further from the best one at the same interval than the slack allows.

    Raises UserErrorException unless exactly one of `slack_factor` and `slack_amount` is given.
    """

    _name = BANDIT

    def __init__(
        self,
        evaluation_interval: int = 1,
        slack_factor: float | None = None,
        slack_amount: float | None = None,
        delay_evaluation: int = 0,
    ) -> None:
        super().__init__(evaluation_interval, delay_evaluation)
        if (slack_factor is None) == (slack_amount is None):
            raise UserErrorException("Exactly one of slack_factor and slack_amount must be given.")
        self.slack_factor = slack_factor
        self.slack_amount = slack_amount


class MedianStoppingPolicy(EarlyTerminationPolicy):
    """Stops a trial whose best value is worse than the median of all trials' averages."""

    _name = MEDIAN


class TruncationSelectionPolicy(EarlyTerminationPolicy):
    """Stops the worst share of the trials at each interval. Raises UserErrorException for a share outside 1 to 99."""

    _name = TRUNCATION

    def __init__(
        self,
        truncation_percentage: int,
        evaluation_interval: int = 1,
        delay_evaluation: int = 0,
        exclude_finished_jobs: bool = False,
    ) -> None:
        super().__init__(evaluation_interval, delay_evaluation)
        if not 1 <= truncation_percentage <= 99:
            raise UserErrorException("truncation_percentage must lie between 1 and 99.")
        self.truncation_percentage = truncation_percentage
        self.exclude_finished_jobs = exclude_finished_jobs
