"""What a sweep tries, in which order, and when it gives a trial up: a frozen value, kept in the parent run's record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

RANDOM, GRID, BAYESIAN = "RANDOM", "GRID", "BAYESIAN"
MAXIMIZE, MINIMIZE = "maximize", "minimize"


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepDefinition:
    """A sweep. `space` maps a parameter to v1's expression, as `["uniform", [0, 1]]`; `seed` makes it repeatable.

    `policy` is `{"name": ..., its parameters}`, None stops nothing early.
    """

    sampling: str
    space: Mapping[str, Any]
    seed: int
    metric: str
    goal: str
    max_total_runs: int
    max_concurrent_runs: int
    max_duration_minutes: float
    policy: Mapping[str, Any] | None = None
    arguments: tuple[str, ...] = ()
    command: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)

    @property
    def maximizes(self) -> bool:
        """Whether larger is better."""
        return self.goal == MAXIMIZE

    def to_record(self) -> dict[str, Any]:
        """The definition as JSON values."""
        return {**asdict(self), "arguments": list(self.arguments)}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> SweepDefinition:
        """The inverse of `to_record`."""
        return cls(**{**record, "arguments": tuple(record["arguments"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One child run of a sweep, and what its primary metric has been so far, in order of time."""

    index: int
    run_id: str
    parameters: Mapping[str, Any]
    values: tuple[float, ...] = ()
    is_finished: bool = False

    def best(self, *, maximizes: bool) -> float | None:
        """The best value so far; None while nothing was logged."""
        if not self.values:
            return None
        return max(self.values) if maximizes else min(self.values)
