"""Which hyperparameters the n-th trial gets. Random and grid need only n, so a killed sweep goes on where it was."""

from __future__ import annotations

import importlib
import itertools
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from runner.errors import MachineError
from runner.sweeps.definition import BAYESIAN, GRID, SweepDefinition, Trial

CHOICE = "choice"


def propose(definition: SweepDefinition, index: int, trials: Sequence[Trial]) -> dict[str, Any] | None:
    """The parameters of trial number `index`; None where a grid has no more. Raises MachineError (no optuna)."""
    if definition.sampling == GRID:
        return _of_grid(definition.space, index)
    if definition.sampling == BAYESIAN:
        return _by_belief(definition, index, trials)
    # No secret depends on these numbers; the text keeps trials of one seed apart.
    draw = random.Random(f"{definition.seed}:{index}")  # noqa: S311
    return {name: sample(expression, draw) for name, expression in definition.space.items()}


def grid_size(space: Mapping[str, Any]) -> int:
    """How many combinations a grid has."""
    return math.prod(len(values) for values in _options(space))


def _of_grid(space: Mapping[str, Any], index: int) -> dict[str, Any] | None:
    combination = next(itertools.islice(itertools.product(*_options(space)), index, None), None)
    return None if combination is None else dict(zip(space, combination))


def _options(space: Mapping[str, Any]) -> list[list[Any]]:
    return [list(expression[1][0]) for expression in space.values()]


def sample(expression: Sequence[Any], draw: random.Random) -> Any:
    """One value of an expression of v1's."""
    name, arguments = expression
    return _DRAWS[name](draw, *arguments)


def _quantized(value: float, step: float) -> float:
    return round(value / step) * step


_DRAWS: dict[str, Callable[..., Any]] = {
    CHOICE: lambda draw, options: draw.choice(options),
    "randint": lambda draw, upper: draw.randrange(upper),
    "uniform": lambda draw, low, high: draw.uniform(low, high),
    "quniform": lambda draw, low, high, q: _quantized(draw.uniform(low, high), q),
    "loguniform": lambda draw, low, high: math.exp(draw.uniform(low, high)),
    "qloguniform": lambda draw, low, high, q: _quantized(math.exp(draw.uniform(low, high)), q),
    "normal": lambda draw, mu, sigma: draw.gauss(mu, sigma),
    "qnormal": lambda draw, mu, sigma, q: _quantized(draw.gauss(mu, sigma), q),
    "lognormal": lambda draw, mu, sigma: math.exp(draw.gauss(mu, sigma)),
    "qlognormal": lambda draw, mu, sigma, q: _quantized(math.exp(draw.gauss(mu, sigma)), q),
}


def _by_belief(definition: SweepDefinition, index: int, trials: Sequence[Trial]) -> dict[str, Any]:
    """What optuna's TPE makes of the trials so far; those under way count as poor, so that none is tried twice."""
    optuna: Any = bayesian_library()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    ranges = {name: _distribution(optuna, expression) for name, expression in definition.space.items()}
    sampler = optuna.samplers.TPESampler(
        seed=(definition.seed + index) % 2**32, constant_liar=True, n_startup_trials=min(10, 2 + 2 * len(ranges))
    )
    study = optuna.create_study(direction=definition.goal, sampler=sampler)
    for trial in trials:
        best = trial.best(maximizes=definition.maximizes)
        if trial.is_finished and best is None:
            continue
        state = optuna.trial.TrialState.COMPLETE if trial.is_finished else optuna.trial.TrialState.RUNNING
        study.add_trial(
            optuna.trial.create_trial(
                state=state,
                params=_as_indices(definition.space, trial.parameters),
                distributions=ranges,
                value=best if trial.is_finished else None,
            )
        )
    asked = study.ask(ranges)
    return {name: _value(definition.space[name], asked.params[name]) for name in definition.space}


def bayesian_library() -> Any:
    """optuna, which is an extra. Raises MachineError where it is not installed."""
    try:
        return importlib.import_module("optuna")
    except ImportError as error:
        raise MachineError(
            "Bayesian sampling needs optuna, which is not installed", hint="pip install 'scriptrun[hyperdrive]'"
        ) from error


def _distribution(optuna: Any, expression: Sequence[Any]) -> Any:
    name, arguments = expression
    if name == CHOICE:  # By number: an option may be anything that JSON can hold.
        return optuna.distributions.CategoricalDistribution(tuple(range(len(arguments[0]))))
    if name == "quniform":
        return optuna.distributions.FloatDistribution(arguments[0], arguments[1], step=arguments[2])
    return optuna.distributions.FloatDistribution(arguments[0], arguments[1])


def _as_indices(space: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: list(expression[1][0]).index(parameters[name]) if expression[0] == CHOICE else parameters[name]
        for name, expression in space.items()
    }


def _value(expression: Sequence[Any], found: Any) -> Any:
    return expression[1][0][found] if expression[0] == CHOICE else found
