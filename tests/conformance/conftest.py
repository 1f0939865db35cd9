"""A job around the test's own process, and the in-job API of `sidecar/injob/site` in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.contract import settings
from sidecar.contract.layout import RunLayout

SITE = Path(__file__).parents[2] / "sidecar" / "injob" / "site"
RUN_ID = "digits_1700000000_0123abcd"
ABOUT = {
    "display_name": "first try",
    "description": None,
    "run_number": 7,
    "target": "local",
    "parent_run_id": None,
    "tags": {"team": "vision"},
    "properties": {"ContentSnapshotId": "5e5d"},
    "environment": {"name": "digits", "environment_variables": {"A": "1"}, "docker": {"enabled": False}},
    "workspace": {"name": "lab"},
}


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The module that `azureml.core.run` is; outside any job."""
    monkeypatch.syspath_prepend(str(SITE))
    for name in (settings.AZUREML_RUN_ID, settings.METRICS_FILE):
        monkeypatch.delenv(name, raising=False)
    import scriptrun_job.run  # type: ignore[import-not-found,unused-ignore]

    scriptrun_job.run.Run._by_id.clear()
    yield scriptrun_job.run
    scriptrun_job.run.Run._by_id.clear()


@pytest.fixture
def layout(tmp_path: Path) -> RunLayout:
    """The run folder of the job."""
    layout = RunLayout(tmp_path / RUN_ID)
    layout.metrics.mkdir(parents=True)
    return layout


@pytest.fixture
def job(api: Any, layout: RunLayout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`Run` inside a job whose working directory is the current folder."""
    layout.job_context.write_text(json.dumps(ABOUT))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    for name, value in {
        settings.AZUREML_RUN_ID: RUN_ID,
        settings.AZUREML_EXPERIMENT_NAME: "digits",
        settings.METRICS_FILE: str(layout.process_metrics("main")),
        settings.JOB_CONTEXT_FILE: str(layout.job_context),
        settings.RUN_ROOT: str(layout.root),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv(settings.SYSTEM_LOG_FILE, raising=False)
    return api.Run


@pytest.fixture
def run(job: Any) -> Any:
    """The run that the job belongs to."""
    return job.get_context()


@pytest.fixture
def errors(api: Any) -> Any:
    """The module that `azureml.exceptions` is."""
    return sys.modules["scriptrun_job.errors"]


@pytest.fixture
def records(layout: RunLayout) -> Any:
    """A function that gives the records that are on disk."""

    def read() -> list[dict[str, Any]]:
        lines = layout.process_metrics("main").read_text().splitlines()
        return [json.loads(line, parse_constant=pytest.fail) for line in lines]

    return read
