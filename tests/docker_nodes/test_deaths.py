"""What becomes of a run whose containers, engine or helpers on a host die."""

from __future__ import annotations

import contextlib
import json
import os
from unittest import mock

import pytest

from runner import submission
from runner.spec.config_file import read_request
from tests.docker import images
from tests.docker_nodes.stage import LIMIT_S, NodesStage
from tests.faults.lab import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.lab, pytest.mark.timeout(600)]

_WAIT = "import time\nprint('ready', flush=True)\ntime.sleep(600)"
_UNTIL_GO = """
import os, time
print("ready", flush=True)
while not os.path.exists("/tmp/go"):
    time.sleep(0.05)
print(2)
"""


def test_container_out_of_memory(stage: NodesStage) -> None:
    """The limit is named, the log is complete, and nothing stays."""
    script = "print('ready', flush=True)\nkept = [bytearray(2**20) for _ in range(4096)]"
    record = stage.run_to_end(stage.config(script, runtime={"arguments": ["--memory", "96m", "--memory-swap", "96m"]}))
    assert record["status"] == "Failed", stage.explain(record)
    assert "out of memory" in record["failure"]["summary"], stage.explain(record)
    assert "96 MiB" in record["failure"]["summary"], stage.explain(record)
    assert stage.layout(record).driver_log(None).read_text().startswith("ready\n")
    stage.expect_nothing_left()


def test_container_removed(stage: NodesStage) -> None:
    """`docker rm -f` on the host ends the run as Failed, and says so."""
    run_id = stage.submit_and_wait(stage.config(_WAIT))
    with contextlib.closing(stage.engines[0].client()) as client:
        client.remove_container(f"{run_id}-lab1", force=True)
    record = stage.wait_ended(run_id)
    assert record["status"] == "Failed", stage.explain(record)
    assert "was removed" in record["failure"]["summary"], stage.explain(record)
    stage.expect_nothing_left()


def test_sidecar_container_removed(stage: NodesStage) -> None:
    """The job goes on, is released without it, and `55_` says so."""
    run_id = stage.submit_and_wait(stage.config(_UNTIL_GO))
    with contextlib.closing(stage.engines[0].client()) as client:
        client.remove_container(f"{run_id}-lab1-sidecar", force=True)
        sentence = f"container {run_id}-lab1-sidecar is gone; job release is done without it"
        said = stage.workspace.run(run_id).execution_log("lab1")
        wait_until(lambda: sentence in said.read_text(), limit_s=LIMIT_S, what="a word about it")
        client.exec_start(client.exec_create(f"{run_id}-lab1", ["touch", "/tmp/go"])["Id"])
    record = stage.wait_ended(run_id)
    assert record["status"] == "Completed", stage.explain(record)
    stage.expect_nothing_left()


def test_name_that_is_taken(stage: NodesStage) -> None:
    """By a stranger's container on the host: the run fails and names it, and the stranger's stays."""
    run_id = "shipped_1700000000_0123abcd"
    images.import_image(stage.engines[0], images.PYTHON_39)
    with contextlib.closing(stage.engines[0].client()) as client:
        client.create_container(images.PYTHON_39, ["true"], name=f"{run_id}-lab1")
        try:
            request = read_request(
                stage.config("print(1)"), overrides=(), extra_arguments=(), compute_directory=stage.workspace.compute
            )
            with mock.patch.dict(os.environ, stage.environ, clear=True):
                submission.submit(request, stage.workspace, environ=stage.environ, run_id=run_id)
            record = stage.wait_ended(run_id)
        finally:
            client.remove_container(f"{run_id}-lab1")
    assert f"the container name {run_id}-lab1 is taken" in record["failure"]["summary"], stage.explain(record)
    stage.expect_nothing_left()


def test_paused_container_is_told_and_can_be_canceled(stage: NodesStage) -> None:
    """`docker pause` on the host: `status` says so and how it goes on; `cancel` does not wait for that."""
    run_id = stage.submit_and_wait(stage.config(_WAIT))
    with contextlib.closing(stage.engines[0].client()) as client:
        client.pause(f"{run_id}-lab1")
    wait_until(lambda: "docker unpause" in stage.run("status", run_id).stdout, limit_s=LIMIT_S, what="the pause")
    assert stage.run("cancel", run_id).returncode == 0
    assert stage.wait_ended(run_id)["status"] == "Canceled"
    stage.expect_nothing_left()


def test_steward_and_agent_are_killed(stage: NodesStage) -> None:
    """Neither is needed for the job: both come back, and the run ends as if nothing had been."""
    run_id = stage.submit_and_wait(stage.config(_UNTIL_GO))
    for part in ("steward", "agent"):
        assert stage.lab.faults.kill(0, "sidecar", part, run_id) == 1
    with contextlib.closing(stage.engines[0].client()) as client:
        client.exec_start(client.exec_create(f"{run_id}-lab1", ["touch", "/tmp/go"])["Id"])
    record = stage.wait_ended(run_id)
    assert record["status"] == "Completed", stage.explain(record)
    assert stage.layout(record).driver_log(None).read_text() == "ready\n2\n"
    stage.expect_nothing_left()


def test_image_that_nobody_has(stage: NodesStage) -> None:
    """Neither here nor there, and no registry has it: exit 3, the image and the engine's words, and nothing stays."""
    record = stage.run_to_end(stage.config("print(1)", image="127.0.0.1:9/no/such"))
    assert record["exit_code"] == 3, stage.explain(record)
    assert "the image 127.0.0.1:9/no/such cannot be pulled" in record["failure"]["summary"]
    stage.expect_nothing_left()


def test_cancel_leaves_nothing_and_tells_no_secret(stage: NodesStage) -> None:
    """A canceled run has no container, no folder and no process on the host; its engine never knew its secrets."""
    config = stage.config(
        "import os, time\nprint('ready', os.environ['TOKEN'], os.environ['OTHER'], flush=True)\ntime.sleep(600)",
        environment_variables={"TOKEN": "canary-1"},
        runtime={"arguments": ["-e", "OTHER=canary-2", "-p", "8000:8000"]},
    )
    run_id = stage.submit_and_wait(config, "ready canary-1 canary-2")
    with contextlib.closing(stage.engines[0].client()) as client:
        for name in stage.engines[0].containers():
            assert "canary" not in json.dumps(client.inspect_container(name)) + json.dumps(client.top(name))
    # What it passes over is told in its own words.
    said = stage.workspace.run(run_id).execution_log("lab1").read_text()
    assert "The engine warns: Published ports are discarded" in said
    assert stage.run("cancel", run_id).returncode == 0
    assert stage.wait_ended(run_id)["status"] == "Canceled"
    stage.expect_nothing_left()


def test_image_without_python(stage: NodesStage) -> None:
    """Exit 3, one sentence that names the image, and nothing stays."""
    images.import_image(stage.engines[0], images.NO_PYTHON)
    stage.environ["DOCKER_HOST"] = f"unix://{stage.folder}/nobody"
    record = stage.run_to_end(stage.config("print(1)", image=images.NO_PYTHON))
    assert (record["exit_code"], record["status"]) == (3, "Failed"), stage.explain(record)
    assert f"the image {images.NO_PYTHON} has no Python 3.9 or newer" in record["failure"]["summary"]
    stage.expect_nothing_left()


def test_engine_that_is_not_there(stage: NodesStage) -> None:
    """Exit 3, one sentence that names the host and the socket, and nothing stays; `doctor` says the same before."""
    stage.engines[0].stop()
    try:
        record = stage.run_to_end(stage.config("print(1)"))
    finally:
        stage.engines[0].start()
    assert (record["exit_code"], record["status"]) == (3, "Failed"), stage.explain(record)
    assert "on lab1 failed: no Docker engine at /var/run/docker.sock" in record["failure"]["summary"]
    stage.expect_nothing_left()
