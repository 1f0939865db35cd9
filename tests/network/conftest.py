"""What every test of runs over a network is given: hosts, a workspace on this machine, and seeded chance."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite("tests.faults.invariants", "tests.network.invariants")

from tests.faults.lab import chance_for  # noqa: E402 - the line above must come first
from tests.lab.fixtures import lab, lab_of  # noqa: E402
from tests.lab.laboratory import Laboratory  # noqa: E402
from tests.network.stage import Stage  # noqa: E402

__all__ = ["lab", "lab_of"]


@pytest.fixture
def stage(lab: Laboratory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A workspace whose runs go to the hosts of `lab`; this process is their submitter until the test's end."""
    for name in ("SSH_AUTH_SOCK", "SSH_ASKPASS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(lab.submitter.home))
    made = Stage(tmp_path, lab)
    yield made
    made.close()


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Seeded random choices; the seed is printed where the test fails."""
    return chance_for(request.node.name)
