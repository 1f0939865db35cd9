"""Environments with a real MLflow, and jobs in them as a node would start them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sidecar.contract import settings
from sidecar.contract.layout import RunLayout

ROOT = Path(__file__).parents[2]
SITE = ROOT / "sidecar" / "injob" / "site"
# setuptools: MLflow 2.9 imports pkg_resources.
OLDEST = ("mlflow-skinny==2.9.2", "setuptools<81")
NEWEST = ("mlflow-skinny", "scikit-learn", "pandas")
RUN_ID = "digits_1790000000_0123abcd"
_NOT_INHERITED = ("PYTHON", "RUNNER_", "AZUREML_", "MLFLOW_")


def build_environment(folder: Path, requirements: tuple[str, ...]) -> Path:
    """A virtual environment with these packages, and this checkout without what it needs; its interpreter."""
    uv = Path(sys.executable).with_name("uv")
    python = folder / "bin" / "python"
    install: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", python]
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True, timeout=60)
    subprocess.run([*install, *requirements], check=True, timeout=240)
    subprocess.run([*install, "--no-deps", "--editable", ROOT], check=True, timeout=120)
    return python


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a script that was run as a job left."""

    run: RunLayout
    output: dict[str, Any]
    records: list[dict[str, Any]]

    def of_kind(self, kind: str) -> list[dict[str, Any]]:
        """The records of one kind."""
        return [record for record in self.records if record["kind"] == kind]


def run_job(python: Path, folder: Path, source: str, *, limit_s: float = 100, **more: str) -> Job:
    """Runs `source`, which ends in `show(name=value, ...)`, with the environment that a node gives a job."""
    run = RunLayout.at(str(folder / RUN_ID))
    output = run_script(python, folder, source, {**job_environment(folder), **more}, limit_s=limit_s)
    return Job(run=run, output=output, records=read_lines(run.process_metrics("main")))


def job_environment(folder: Path) -> dict[str, str]:
    """The variables that a node gives a job; its run folder, made now, lies in `folder`."""
    run = RunLayout.at(str(folder / RUN_ID))
    run.metrics.mkdir(parents=True)
    return {
        **clean_environment(),
        settings.METRICS_FILE: str(run.process_metrics("main")),
        settings.RUN_ROOT: str(run.root),
        settings.AZUREML_RUN_ID: RUN_ID,
        settings.AZUREML_EXPERIMENT_NAME: "digits",
        settings.MLFLOW_RUN_ID: RUN_ID,
        settings.MLFLOW_TRACKING_URI: f"scriptrun-job://{run.root}",
        settings.MLFLOW_DISABLE_TELEMETRY: "true",
        settings.PYTHONPATH: str(SITE),
    }


def run_script(
    python: Path, folder: Path, source: str, environ: Mapping[str, str], *, limit_s: float = 100
) -> dict[str, Any]:
    """Runs `source` to its end; what it has given to `show`."""
    result, script = folder / "result.json", folder / "script.py"
    script.write_text(f"def show(**found): import json; json.dump(found, open({str(result)!r}, 'w'))\n{source}")
    done = subprocess.run([python, script], cwd=folder, env=environ, capture_output=True, text=True, timeout=limit_s)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def clean_environment() -> dict[str, str]:
    """The variables of this process without those that steer Python, the runner or MLflow."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The records in a file of a run."""
    return [json.loads(line) for line in path.read_text().splitlines()]
