"""What the n-th trial of a sweep is given."""

from __future__ import annotations

import math

import pytest

from runner.sdk.exceptions import UserErrorException
from runner.sdk.hyperdrive import (
    BayesianParameterSampling,
    GridParameterSampling,
    choice,
    lognormal,
    loguniform,
    normal,
    qlognormal,
    qloguniform,
    qnormal,
    quniform,
    randint,
    uniform,
)
from runner.sweeps.definition import SweepDefinition, Trial
from runner.sweeps.sampling import propose

SPACE = {
    "choice": choice("a", "b"),
    "randint": randint(3),
    "uniform": uniform(0.5, 1),
    "quniform": quniform(0, 10, 5),
    "loguniform": loguniform(-2, 0),
    "qloguniform": qloguniform(0, 3, 2),
    "normal": normal(0, 1),
    "qnormal": qnormal(0, 4, 2),
    "lognormal": lognormal(0, 1),
    "qlognormal": qlognormal(0, 1, 1),
}


def sweep(sampling: str, space: dict[str, list[object]], seed: int = 7) -> SweepDefinition:
    return SweepDefinition(
        sampling=sampling, space=space, seed=seed, metric="m", goal="maximize", max_total_runs=9,
        max_concurrent_runs=9, max_duration_minutes=1,
    )  # fmt: skip


def test_random_draws_lie_where_they_must_and_can_be_repeated() -> None:
    """Every expression of v1's; the same trial of a seed is the same."""
    for index in range(50):
        drawn = propose(sweep("RANDOM", SPACE), index, [])
        assert drawn is not None and drawn == propose(sweep("RANDOM", SPACE), index, [])
        assert drawn["choice"] in ("a", "b") and drawn["randint"] in (0, 1, 2)
        assert 0.5 <= drawn["uniform"] <= 1 and drawn["quniform"] in (0, 5, 10)
        assert math.exp(-2) <= drawn["loguniform"] <= 1 and drawn["qloguniform"] % 2 == 0
        assert drawn["qnormal"] % 2 == 0 and drawn["lognormal"] > 0 and drawn["qlognormal"] % 1 == 0
    assert propose(sweep("RANDOM", SPACE), 0, []) != propose(sweep("RANDOM", SPACE), 1, [])


def test_a_grid_is_every_combination_once() -> None:
    """And then it is over."""
    space = {"a": choice(1, 2), "b": choice(["x", "y"])}
    found = [propose(sweep("GRID", space), index, []) for index in range(5)]
    assert found == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}, None]


def test_bayesian_sampling_learns() -> None:
    """After some trials it asks where they were good; optuna must be installed."""
    pytest.importorskip("optuna")
    space = {"x": uniform(0, 1), "kind": choice("good", "bad")}
    trials: list[Trial] = []
    for index in range(40):
        asked = propose(sweep("BAYESIAN", space), index, trials)
        assert asked is not None and 0 <= asked["x"] <= 1
        value = -abs(asked["x"] - 0.7) - (asked["kind"] == "bad")
        trials.append(Trial(index=index, run_id=str(index), parameters=asked, values=(value,), is_finished=True))
    late = [trial.parameters for trial in trials[-15:]]
    assert sum(parameters["kind"] == "good" for parameters in late) >= 10
    assert sum(abs(parameters["x"] - 0.7) < 0.3 for parameters in late) >= 9


def test_expressions_that_a_way_excludes_are_refused() -> None:
    """A grid has choices only; v1's Bayesian sampling knows three."""
    with pytest.raises(UserErrorException, match="takes choice only"):
        GridParameterSampling({"a": uniform(0, 1)})
    with pytest.raises(UserErrorException, match="choice, quniform, uniform only"):
        BayesianParameterSampling({"a": normal(0, 1)})
    with pytest.raises(UserErrorException, match="smaller bound"):
        uniform(1, 0)
    with pytest.raises(UserErrorException, match="Please specify an option"):
        choice()
