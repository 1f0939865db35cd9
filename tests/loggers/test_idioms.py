"""What MLflow's own tests take for granted of a tracking server holds in a job (idioms.py)."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.doubles.mlflow_lab import job_environment

pytestmark = [pytest.mark.loggers, pytest.mark.timeout(600)]

IDIOMS = Path(__file__).with_name("idioms.py")


def test_idioms_hold(python: Path, tmp_path: Path) -> None:
    """Each of them, under the oldest and the newest MLflow."""
    environ = job_environment(tmp_path)
    script = shutil.copy(IDIOMS, tmp_path)  # Out of reach of this project's settings for pytest.
    done = subprocess.run([python, script], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
