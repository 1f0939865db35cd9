"""The distribution holds everything, and works where nothing else is."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from runner.version import VERSION

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that `python -m build` makes of this checkout."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = folder.glob("*.whl")
    return found


def test_installed_version_is_the_one_in_the_code() -> None:
    """The metadata of the installed distribution and the code agree."""
    assert importlib.metadata.version("scriptrun") == VERSION


def test_heavy_libraries_are_extras_only() -> None:
    """torch and docker are never installed unasked."""
    always = [line for line in importlib.metadata.requires("scriptrun") or [] if "extra ==" not in line]
    names = {re.split(r"[^\w-]", line)[0].lower() for line in always}
    assert names == {"click", "pyyaml", "pathspec", "jmespath", "psutil", "watchdog", "mpi4py", "paramiko"}


@pytest.mark.network
@pytest.mark.timeout(300)
def test_wheel_holds_both_packages_whole(wheel: Path) -> None:
    """Every file of the two packages that git tracks is in the wheel, what ships into jobs included."""
    listed = subprocess.run(["git", "ls-files", "runner", "sidecar"], cwd=ROOT, capture_output=True, text=True)
    with zipfile.ZipFile(wheel) as archive:
        assert set(listed.stdout.split()) <= set(archive.namelist())
        assert "sidecar/injob/site/azureml/core/__init__.py" in archive.namelist()


@pytest.mark.network
@pytest.mark.timeout(300)
def test_wheel_runs_a_job_from_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """Installed into a new environment, in another folder, the command runs a script that logs a metric."""
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", str(wheel)], check=True, timeout=200)
    job = tmp_path / "job"
    job.mkdir()
    (job / "train.py").write_text("from azureml.core import Run\nRun.get_context().log('answer', 42)\n")
    (job / "job.yml").write_text("script: train.py\nenvironment: {python: {user_managed_dependencies: true}}\n")
    environ = {**os.environ, "RUNNER_WORKSPACE": str(tmp_path / "workspace")}
    command = [tmp_path / "venv" / "bin" / "runner"]
    submit = [*command, "submit", "job.yml", "--show-output"]
    done = subprocess.run(submit, cwd=job, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = [*command, "metrics", "last", "-o", "json"]
    shown = subprocess.run(metrics, cwd=job, env=environ, capture_output=True, text=True, check=True)
    assert json.loads(shown.stdout) == {"answer": [42]}
