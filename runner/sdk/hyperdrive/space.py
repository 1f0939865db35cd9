"""The expressions of a parameter space, in v1's shape: `["uniform", [0, 1]]`."""

from __future__ import annotations

from typing import Any

from runner.sdk.exceptions import UserErrorException

Expression = list[Any]


def choice(*options: Any) -> Expression:
    """One of the options, given one by one or as a list or range. Raises UserErrorException for none."""
    only = options[0] if len(options) == 1 else None
    values = list(only) if isinstance(only, (list, tuple, range)) else list(options)
    if not values:
        raise UserErrorException("Please specify an option for the expression: choice.")
    return ["choice", [[_plain(value) for value in values]]]


def randint(upper: int) -> Expression:
    """An integer from 0 to `upper` - 1."""
    return ["randint", [_number(upper)]]


def uniform(min_value: float, max_value: float) -> Expression:
    """A number between the two."""
    return _range("uniform", min_value, max_value)


def quniform(min_value: float, max_value: float, q: float) -> Expression:
    """round(uniform / q) * q."""
    return _range("quniform", min_value, max_value, q)


def loguniform(min_value: float, max_value: float) -> Expression:
    """exp(uniform): the logarithm lies between the two."""
    return _range("loguniform", min_value, max_value)


def qloguniform(min_value: float, max_value: float, q: float) -> Expression:
    """round(exp(uniform) / q) * q."""
    return _range("qloguniform", min_value, max_value, q)


def normal(mu: float, sigma: float) -> Expression:
    """Normally distributed."""
    return ["normal", [_number(mu), _number(sigma)]]


def qnormal(mu: float, sigma: float, q: float) -> Expression:
    """round(normal / q) * q."""
    return ["qnormal", [_number(mu), _number(sigma), _step(q)]]


def lognormal(mu: float, sigma: float) -> Expression:
    """exp(normal)."""
    return ["lognormal", [_number(mu), _number(sigma)]]


def qlognormal(mu: float, sigma: float, q: float) -> Expression:
    """round(exp(normal) / q) * q."""
    return ["qlognormal", [_number(mu), _number(sigma), _step(q)]]


def _range(name: str, low: float, high: float, *step: float) -> Expression:
    if not _number(low) < _number(high):
        raise UserErrorException(f"{name}: the smaller bound must come first. Found {low} and {high}.")
    return [name, [_number(low), _number(high), *map(_step, step)]]


def _step(q: float) -> Any:
    if not _number(q) > 0:
        raise UserErrorException(f"q must be greater than 0. Found {q}.")
    return _number(q)


def _number(value: Any) -> Any:
    plain = _plain(value)
    if isinstance(plain, bool) or not isinstance(plain, (int, float)):
        raise UserErrorException(f"A number is needed. Found {value!r}.")
    return plain


def _plain(value: Any) -> Any:
    """A numpy scalar's own value; anything else as it is."""
    return value.item() if hasattr(value, "item") and not isinstance(value, (str, bytes)) else value
