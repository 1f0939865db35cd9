"""Which trials are not worth going on with (azureml-v1.md 1.8): pure decisions over what was logged so far.

An interval is one value of the primary metric. A trial is looked at when it has reached another multiple of
`evaluation_interval`, and not before `delay_evaluation` intervals.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runner.sweeps.definition import SweepDefinition, Trial

BANDIT, MEDIAN, TRUNCATION = "Bandit", "MedianStopping", "TruncationSelection"


def due_interval(policy: Mapping[str, Any], count: int) -> int:
    """The interval at which a trial with `count` values is looked at; 0 where it is not due."""
    every = int(policy.get("evaluation_interval", 1))
    interval = count // every * every
    return interval if interval > 0 and interval >= int(policy.get("delay_evaluation", 0)) else 0


def to_stop(definition: SweepDefinition, trials: Sequence[Trial], looked_at: Mapping[str, int]) -> list[str]:
    """The run ids of trials to stop now; `looked_at` says up to which interval each was looked at before."""
    policy = definition.policy
    if policy is None or policy["name"] not in _RULES:
        return []
    due = {
        trial.run_id: interval
        for trial in trials
        if not trial.is_finished
        and (interval := due_interval(policy, len(trial.values))) > looked_at.get(trial.run_id, 0)
    }
    rule = _RULES[policy["name"]]
    return [
        trial.run_id for trial in trials if trial.run_id in due and rule(definition, trial, trials, due[trial.run_id])
    ]


def _best(definition: SweepDefinition, values: Sequence[float]) -> float:
    finite = [value for value in values if not math.isnan(value)]
    worst = -math.inf if definition.maximizes else math.inf
    return (max if definition.maximizes else min)(finite, default=worst)


def _rivals(trials: Sequence[Trial], interval: int) -> list[Trial]:
    """The trials that have come as far as the interval, or have ended before it."""
    return [trial for trial in trials if len(trial.values) >= interval or (trial.is_finished and trial.values)]


def _bandit(definition: SweepDefinition, trial: Trial, trials: Sequence[Trial], interval: int) -> bool:
    policy = definition.policy or {}
    own = _best(definition, trial.values[:interval])
    # Of every trial, however far it has come: what is better already is not worse later.
    best = _best(definition, [_best(definition, other.values[:interval]) for other in trials])
    if policy.get("slack_amount") is not None:
        slack = float(policy["slack_amount"])
        return own < best - slack if definition.maximizes else own > best + slack
    factor = 1 + float(policy["slack_factor"])
    if definition.maximizes:
        return own < (best / factor if best >= 0 else best * factor)
    return own > (best * factor if best >= 0 else best / factor)


def _median(definition: SweepDefinition, trial: Trial, trials: Sequence[Trial], interval: int) -> bool:
    averages = [statistics.fmean(other.values[:interval]) for other in _rivals(trials, interval)]
    middle = statistics.median(averages)
    own = _best(definition, trial.values[:interval])
    return own < middle if definition.maximizes else own > middle


def _truncation(definition: SweepDefinition, trial: Trial, trials: Sequence[Trial], interval: int) -> bool:
    policy = definition.policy or {}
    rivals = [other for other in trials if not (policy.get("exclude_finished_jobs") and other.is_finished)]
    values = [_best(definition, other.values[:interval]) for other in _rivals(rivals, interval)]
    ranked = sorted(values, reverse=definition.maximizes)
    count = math.floor(len(ranked) * float(policy["truncation_percentage"]) / 100)
    if count == 0:
        return False
    own, border = _best(definition, trial.values[:interval]), ranked[len(ranked) - count]
    return own <= border if definition.maximizes else own >= border


_RULES: dict[str, Callable[[SweepDefinition, Trial, Sequence[Trial], int], bool]] = {
    BANDIT: _bandit,
    MEDIAN: _median,
    TRUNCATION: _truncation,
}
