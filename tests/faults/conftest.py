"""What every fault case is given."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.faults.invariants")

from tests.faults.lab import Lab, chance_for  # noqa: E402 - the line above must come first

# Without these a process of root obeys the rights of files like everybody else.
_PLAIN = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"]


@pytest.fixture
def plainly() -> list[str]:
    """What stands in front of a command that must obey the rights of files."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("root ignores rights of files, and setpriv, which could change that, is not installed")
    return _PLAIN


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
