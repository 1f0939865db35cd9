"""What every fault case is given."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.faults.invariants")

from tests.faults.lab import Lab, chance_for  # noqa: E402 - the line above must come first


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A workspace of its own; nothing of it survives the test."""
    made = Lab(tmp_path)
    yield made
    made.close()


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Seeded random choices; the seed is printed where the test fails."""
    return chance_for(request.node.name)
