"""A run is copied to a real `mlflow server`, the oldest over plain files and the newest over a database."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.interop.mirror_state import read_state
from sidecar.contract import lock
from sidecar.contract.layout import RunLayout
from tests.doubles.command import Command
from tests.doubles.mlflow_lab import clean_environment, run_script
from tests.doubles.node_lab import wait_until
from tests.loggers.tracking_server import TrackingServer

pytestmark = [pytest.mark.loggers, pytest.mark.timeout(900)]

COUNT = 3000
SCRIPT = f"""
import time
from azureml.core import Run
run = Run.get_context()
run.tag("color", "red")
for number in range({COUNT}):
    run.log("free", number * 0.5)
    run.log("loss", 1 / (number + 1), step=number)
    time.sleep(0.002)
run.log("bad//name", 1)
kid = run.child_run("kid")
kid.log("k", 1)
kid.complete()
open("outputs/model é.txt", "w").write("m")
"""

READING = """
import mlflow
mlflow.set_tracking_uri(ADDRESS)
client = mlflow.MlflowClient()
experiment = client.get_experiment_by_name("train").experiment_id
(own,) = client.search_runs([experiment], f"tags.`scriptrun.run_id` = '{RUN}'")
(kid,) = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{own.info.run_id}'")
show(
    steps={name: sorted(m.step for m in client.get_metric_history(own.info.run_id, name)) for name in ("free", "loss")},
    status=own.info.status, tags=own.data.tags, names=sorted(own.data.metrics),
    kid=[kid.info.run_name, kid.info.status, kid.data.metrics],
    files=[file.path for file in client.list_artifacts(own.info.run_id, "outputs")],
)
"""


@pytest.fixture
def server(python: Path, tmp_path: Path) -> Iterator[TrackingServer]:
    """A server that is still to be started; the newest over a database, the oldest over plain files, its default."""
    folder = tmp_path / "server"
    folder.mkdir()
    arguments = ("--backend-store-uri", "sqlite:///runs.db") if "newest" in python.parts else ()
    found = TrackingServer(python, folder, *arguments)
    yield found
    found.stop()


@pytest.fixture
def command(tmp_path: Path, server: TrackingServer) -> Command:
    """The real command, and a config that names the server."""
    found = Command(tmp_path)
    found.write("train.py", SCRIPT)
    mirror = f"{{tracking_uri: '{server.address}', files: ['outputs/**']}}"
    found.write("train.yml", f"script: train.py\ntags: {{team: vision}}\nmlflow: {mirror}\n")
    return found


def is_complete(run: RunLayout) -> bool:
    state = read_state(run)
    return state is not None and state.is_complete


def check(python: Path, server: TrackingServer, run: RunLayout, folder: Path) -> None:
    """All of the run is on the server, each value once."""
    source = f"ADDRESS, RUN = {server.address!r}, {run.root.name!r}\n{READING}"
    seen: dict[str, Any] = run_script(python, folder, source, clean_environment())
    assert seen["steps"] == {"free": list(range(COUNT)), "loss": list(range(COUNT))}
    assert (seen["status"], seen["tags"]["color"], seen["tags"]["team"]) == ("FINISHED", "red", "vision")
    assert seen["kid"] == ["kid", "FINISHED", {"k": 1.0}]
    assert (seen["names"], seen["files"]) == (["free", "loss"], ["outputs/model é.txt"])


def test_server_that_comes_after_the_run(
    python: Path, server: TrackingServer, command: Command, tmp_path: Path
) -> None:
    """The run ends without it; once it is there, everything arrives by itself."""
    run = command.submit("train.yml", "--show-output")
    assert not is_complete(run)
    server.start()
    wait_until(lambda: is_complete(run), what="the mirror", limit_s=240)
    check(python, server, run, tmp_path)


def test_mirror_and_server_that_die_again_and_again(
    python: Path, server: TrackingServer, command: Command, tmp_path: Path
) -> None:
    """`kill -9` of whatever mirrors, a server that hangs, one that is killed: nothing is missed, nothing doubled."""
    server.start()
    run = command.submit("train.yml")
    chance = random.Random(1)
    mirrors: list[subprocess.Popen[str]] = []
    for number in range(12):
        time.sleep(chance.uniform(0.05, 1.0))  # What is killed is in the middle of something.
        holder = lock.holder(run.mirror.lock)
        if holder is not None:
            os.kill(holder.pid, signal.SIGKILL)
        if number == 5:
            server.signal(signal.SIGSTOP)
        if number == 7:
            server.stop()
            server.start()
        mirrors.append(command.popen("mirror", run.root.name))
    wait_until(lambda: is_complete(run), what="the mirror", limit_s=300)
    for mirror in mirrors:
        mirror.communicate()
    check(python, server, run, tmp_path)
