"""In which order a parameter space is tried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.sdk.exceptions import UserErrorException
from runner.sweeps.definition import BAYESIAN, GRID, RANDOM


class HyperParameterSampling:
    """A parameter space and a way to go through it. Raises UserErrorException for expressions that the way excludes."""

    name = RANDOM
    _allowed: frozenset[str] | None = None

    def __init__(self, parameter_space: Mapping[str, Any], properties: Mapping[str, Any] | None = None) -> None:
        if not parameter_space:
            raise UserErrorException("The parameter space is empty.")
        self._parameter_space = {str(name): _checked(name, value) for name, value in parameter_space.items()}
        self._properties = dict(properties or {})
        for name, (expression, _) in self._parameter_space.items():
            if self._allowed is not None and expression not in self._allowed:
                raise UserErrorException(
                    f"{type(self).__name__} takes {', '.join(sorted(self._allowed))} only. "
                    f"Found {expression} for {name}."
                )

    @property
    def parameter_space(self) -> dict[str, Any]:
        """The expressions by name."""
        return dict(self._parameter_space)

    @property
    def seed(self) -> int | None:
        """What makes the order repeatable: `properties={"seed": n}`; None takes a new one for each sweep."""
        found = self._properties.get("seed")
        return None if found is None else int(found)


class RandomParameterSampling(HyperParameterSampling):
    """Draws every parameter by itself, any number of times."""

    def __init__(
        self, parameter_space: Mapping[str, Any], properties: Mapping[str, Any] | None = None, seed: int | None = None
    ) -> None:
        super().__init__(parameter_space, {**(properties or {}), **({} if seed is None else {"seed": seed})})


class GridParameterSampling(HyperParameterSampling):
    """Tries every combination of choices once."""

    name = GRID
    _allowed = frozenset({"choice"})


class BayesianParameterSampling(HyperParameterSampling):
    """Tries what the trials before promise most; optuna decides."""

    name = BAYESIAN
    _allowed = frozenset({"choice", "uniform", "quniform"})


def _checked(name: str, expression: Any) -> Any:
    if isinstance(expression, (list, tuple)) and len(expression) == 2 and isinstance(expression[0], str):
        return [expression[0], list(expression[1])]
    raise UserErrorException(f"{name}: an expression such as choice(1, 2) or uniform(0, 1) is needed: {expression!r}.")
