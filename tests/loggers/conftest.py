"""The two environments that `make loggers` makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.loggers.environments import python_of


@pytest.fixture(scope="session")
def oldest() -> Path:
    """An interpreter with the oldest whole MLflow."""
    return python_of("oldest")


@pytest.fixture(scope="session")
def newest() -> Path:
    """An interpreter with the newest whole MLflow and the libraries that log to it."""
    return python_of("newest")


@pytest.fixture(params=["oldest", "newest"])
def python(request: pytest.FixtureRequest) -> Path:
    """The one, then the other."""
    found: Path = request.getfixturevalue(request.param)
    return found
