"""A project and a workspace in temporary folders, and runs of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.sdk import Experiment, Workspace

SCRIPT = """\
import os, sys, time
from pathlib import Path
print("arguments", sys.argv[1:], flush=True)
if "wait" in sys.argv:
    while not Path(sys.argv[-1]).exists():
        time.sleep(0.01)
if "log" in sys.argv:
    from azureml.core import Run
    for loss in (1.5, 0.5):
        Run.get_context().log("loss", loss)
    Run.get_context().log("best", 0.5)
    Path("outputs").mkdir(exist_ok=True)
    Path("outputs/model.bin").write_bytes(b"model")
if "raise" in sys.argv:
    raise ValueError("bad batch")
if "exit" in sys.argv:
    sys.exit(3)
print("finished")
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A source folder with one script."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT)
    return folder


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An empty workspace that is the one of this process."""
    monkeypatch.setenv("RUNNER_WORKSPACE", str(tmp_path / "workspace"))
    return Workspace.from_config()


@pytest.fixture
def experiment(workspace: Workspace) -> Experiment:
    """An experiment without runs."""
    return Experiment(workspace, "digits")


def wait_until(condition: Callable[[], bool], limit_s: float = 30.0) -> None:
    """Returns once `condition()`; fails the test where that takes longer than `limit_s`."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to be in time"
        time.sleep(0.01)
