"""Nothing is skipped silently: a skip is printed, and where its group must run it is a failure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import groups

ROOT = Path(__file__).parents[1]
SKIPPING = """
import pytest
@pytest.mark.strace
def test_gives_up(): pytest.skip("not today")
@pytest.mark.conda
def test_may_not_run_here(): pass
"""


def run(folder: Path, *, required: str) -> subprocess.CompletedProcess[str]:
    """Runs the two tests of SKIPPING with the project's conftest; no conda is found."""
    (folder / "test_skipping.py").write_text(SKIPPING)
    environ = {**os.environ, "SCRIPTRUN_REQUIRE_GROUPS": required, "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-p", "no:cacheprovider", str(folder)]
    return subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=60)


def test_skips_are_printed_with_group_and_reason(tmp_path: Path) -> None:
    """The end of a run lists every test that was not run, and why."""
    done = run(tmp_path, required="")
    assert done.returncode == 0
    shown = done.stdout[done.stdout.index("NOT RUN HERE") :]
    assert "1 x conda: Skipped: group conda: none of conda, mamba, micromamba is on PATH" in shown
    assert "1 x strace: Skipped: not today" in shown
    assert "test_skipping.py::test_gives_up" in shown


def test_skip_in_a_required_group_fails(tmp_path: Path) -> None:
    """A group that must run cannot be skipped, neither by its probe nor by a test of it."""
    done = run(tmp_path, required="conda,strace")
    assert done.returncode == 1
    assert "1 failed, 1 error" in done.stdout
    assert "conda must run here" in done.stdout


@pytest.mark.strace
def test_possible_means_what_the_machine_can_run() -> None:
    """`possible` names the groups whose probe finds no obstacle, and a misspelt group is an error."""
    assert "strace" in groups.required("possible")
    with pytest.raises(ValueError, match="no such group"):
        groups.required("posible")
