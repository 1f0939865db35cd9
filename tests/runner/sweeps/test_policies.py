"""Which trials a policy stops."""

from __future__ import annotations

from typing import Any

import pytest

from runner.sweeps.definition import SweepDefinition, Trial
from runner.sweeps.policies import due_interval, to_stop


def definition(policy: dict[str, Any] | None, goal: str = "maximize") -> SweepDefinition:
    return SweepDefinition(
        sampling="RANDOM", space={}, seed=0, metric="m", goal=goal, max_total_runs=9, max_concurrent_runs=9,
        max_duration_minutes=1, policy=policy,
    )  # fmt: skip


def trials(*series: list[float], finished: int = 0) -> list[Trial]:
    return [
        Trial(index=n, run_id=f"r{n}", parameters={}, values=tuple(values), is_finished=n < finished)
        for n, values in enumerate(series)
    ]


@pytest.mark.parametrize(
    ("policy", "goal", "series", "stopped"),
    [
        (None, "maximize", [[1.0], [0.0]], []),
        ({"name": "Bandit", "slack_factor": 0.2}, "maximize", [[1.0], [0.84], [0.8]], ["r2"]),
        ({"name": "Bandit", "slack_factor": 0.2}, "minimize", [[1.0], [1.19], [1.3]], ["r2"]),
        ({"name": "Bandit", "slack_amount": 0.2}, "maximize", [[1.0], [0.85], [0.7]], ["r2"]),
        ({"name": "Bandit", "slack_amount": 0.1}, "maximize", [[0.1, 1.0], [0.9]], []),
        ({"name": "MedianStopping"}, "maximize", [[3.0], [2.0], [1.0]], ["r2"]),
        ({"name": "MedianStopping"}, "minimize", [[3.0], [2.0], [1.0]], ["r0"]),
        (
            {"name": "TruncationSelection", "truncation_percentage": 25},
            "maximize",
            [[4.0], [3.0], [2.0], [1.0]],
            ["r3"],
        ),
        ({"name": "TruncationSelection", "truncation_percentage": 25}, "maximize", [[2.0], [1.0]], []),
    ],
)
def test_each_policy_stops_the_poor(
    policy: dict[str, Any] | None, goal: str, series: list[list[float]], stopped: list[str]
) -> None:
    """Compared with the others at the same interval."""
    assert to_stop(definition(policy, goal), trials(*series), {}) == stopped


def test_a_trial_is_looked_at_once_an_interval() -> None:
    """Not again before it has logged more, and not before the delay is over."""
    policy = {"name": "Bandit", "slack_amount": 0.1, "evaluation_interval": 2, "delay_evaluation": 4}
    assert [due_interval(policy, count) for count in range(7)] == [0, 0, 0, 0, 4, 4, 6]
    sweep = definition(policy)
    found = trials([1.0] * 4, [0.0] * 5)
    assert to_stop(sweep, found, {}) == ["r1"]
    assert to_stop(sweep, found, {"r0": 4, "r1": 4}) == []


def test_what_has_ended_is_left_alone() -> None:
    """It counts for the others all the same."""
    policy = {"name": "Bandit", "slack_amount": 0.1}
    assert to_stop(definition(policy), trials([0.0], [1.0], [0.5], finished=2), {}) == ["r2"]


@pytest.mark.parametrize(
    "policy",
    [
        {"name": "Bandit", "slack_amount": 0.1},
        {"name": "MedianStopping"},
        {"name": "TruncationSelection", "truncation_percentage": 50},
    ],
)
def test_a_trial_that_goes_on_longer_than_the_others_is_compared_with_them(policy: dict[str, Any]) -> None:
    """Those that ended before the interval count with what they had reached."""
    assert to_stop(definition(policy), trials([1.0], [0.0] * 50, finished=1), {}) == ["r1"]
