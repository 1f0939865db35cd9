"""Whatever becomes of a container or of the engine: the run's status is true, its logs whole, and one line says why."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from runner.sdk import DockerConfiguration, Experiment, ScriptRunConfig, Workspace
from sidecar.contract import lock
from tests.docker import images
from tests.docker.engine import Engine, running_engine
from tests.docker.stage import LIMIT_S, DockerStage
from tests.doubles.node_lab import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

_WAITS = """
import os, time
print("ready", flush=True)
while not os.path.exists("outputs/go"):
    open("outputs/beat", "w").write("x")
    time.sleep(0.05)
print("done", flush=True)
"""
_HUNGRY = "print('ready', flush=True)\nheld = bytearray(b'x' * 300 * 2**20)\n"
_HUNGRY_CHILD = """
import subprocess, sys
child = subprocess.run([sys.executable, "-c", "held = bytearray(b'x' * 300 * 2**20)"])
print("child", child.returncode)
"""
_LIMIT = {"arguments": ["--memory", "100m", "--memory-swap", "100m"]}


def _failed(stage: DockerStage, record: dict[str, Any], sentence: str) -> None:
    assert record["status"] == "Failed", stage.explain(record)
    assert sentence in record["failure"]["summary"], stage.explain(record)
    log = stage.workspace.run(record["run_id"]).driver_log(None)
    assert log.read_text() == "ready\n"
    # What it had written is here, and nothing of the node is left behind.
    assert (stage.workspace.run(record["run_id"]).outputs / "beat").exists()
    assert not list(stage.workspace.nodes.glob("*/*"))


def test_process_out_of_memory_is_named_with_the_limit(stage: DockerStage) -> None:
    """The rank that the kernel killed, and the limit of its container."""
    record = stage.run_to_end(stage.config(_HUNGRY, runtime=_LIMIT))
    assert record["exit_code"] == 100, stage.explain(record)
    assert "main on local-0 failed first: out of memory" in record["failure"]["summary"]
    assert "limit 100 MiB" in record["failure"]["summary"]


def test_child_out_of_memory_is_told_of_a_run_that_completes(stage: DockerStage) -> None:
    """Where the process itself went on and ended well, a warning names the limit."""
    record = stage.complete(stage.config(_HUNGRY_CHILD, runtime=_LIMIT))
    assert stage.driver_log(record) == "child -9\n"
    assert any("killed for the memory limit of 100 MiB" in warning for warning in record["warnings"]), record[
        "warnings"
    ]


def test_container_out_of_memory_is_named_with_the_limit(stage: DockerStage, engine: Engine) -> None:
    """Where the kernel takes what the container itself consists of, its end is the cause, and the limit is named."""
    run_id = stage.submit_and_wait(stage.config(_WAITS + _HUNGRY, runtime=_LIMIT))
    rows = stage.client.top(f"{run_id}-local-0")["Processes"]
    (keeper,) = (row[1] for row in rows if row[-1].startswith("python3 -s -S -E -m sidecar"))
    engine.inside(["sh", "-c", f"echo 1000 > /proc/{keeper}/oom_score_adj"])
    (stage.workspace.node("local-0", run_id).work / "outputs/go").touch()
    record = stage.wait_ended(run_id)
    assert record["status"] == "Failed", stage.explain(record)
    assert f"its container {run_id}-local-0 ran out of memory (limit 100 MiB)" in record["failure"]["summary"]


def test_removed_container(stage: DockerStage) -> None:
    """`docker rm -f`: the run fails, says so, and has everything that was written."""
    run_id = stage.submit_and_wait(stage.config(_WAITS))
    stage.client.remove_container(f"{run_id}-local-0", force=True)
    _failed(stage, stage.wait_ended(run_id), f"its container {run_id}-local-0 was removed")


def test_removed_sidecar_container_is_done_without(stage: DockerStage) -> None:
    """The job goes on, and is released without it."""
    run_id = stage.submit_and_wait(stage.config(_WAITS))
    stage.client.remove_container(f"{run_id}-local-0-sidecar", force=True)
    (stage.workspace.node("local-0", run_id).work / "outputs/go").touch()
    record = stage.wait_ended(run_id)
    assert record["status"] == "Completed", stage.explain(record)


def test_paused_container_is_said_and_can_be_canceled(stage: DockerStage) -> None:
    """`docker pause` shows in `status`; cancel lets it go on, to stop what is in there."""
    run_id = stage.submit_and_wait(stage.config(_WAITS))
    stage.client.pause(f"{run_id}-local-0")
    wait_until(
        lambda: "its container is paused" in stage.run("status", run_id).stdout, limit_s=60, what="the pause in status"
    )
    assert stage.run("cancel", run_id).returncode == 0
    assert stage.wait_ended(run_id)["status"] == "Canceled"


def test_killed_agent_is_started_again(stage: DockerStage) -> None:
    """It holds nothing: the job goes on in its container, and completes."""
    run_id = stage.submit_and_wait(stage.config(_WAITS))
    (agent,) = (process for process in psutil.process_iter(["cmdline"]) if _is_agent(process, run_id))
    agent.kill()
    (stage.workspace.node("local-0", run_id).work / "outputs/go").touch()
    record = stage.wait_ended(run_id)
    assert record["status"] == "Completed", stage.explain(record)
    assert stage.workspace.run(run_id).driver_log(None).read_text() == "ready\ndone\n"


def _is_agent(process: psutil.Process, run_id: str) -> bool:
    words = process.info["cmdline"] or []
    return run_id in words and "agent" in words


def test_killed_controller_is_followed_by_another(stage: DockerStage) -> None:
    """The containers go on; the next controller finds them, and the job was started once."""
    run_id = stage.submit_and_wait(stage.config(_WAITS))
    before = {name: found["Id"] for name, found in stage.containers(run_id).items()}
    run = stage.workspace.run(run_id)
    holder = lock.holder(run.controller_lock)
    assert holder is not None
    os.kill(holder.pid, signal.SIGKILL)
    wait_until(lambda: lock.holder(run.controller_lock) is None, what="the controller's end")
    (stage.workspace.node("local-0", run_id).work / "outputs/go").touch()
    done = stage.run("attach", run_id)
    assert done.returncode == 0, done.stderr
    assert run.driver_log(None).read_text() == "ready\ndone\n"
    assert len(before) == 2


def test_next_run_sweeps_what_a_crash_left(stage: DockerStage) -> None:
    """A container of a run that is no more goes; a stranger's stays."""
    ours = {"io.scriptrun.run": "gone_1700000000_0123abcd", "io.scriptrun.workspace": str(stage.workspace.root)}
    for name, labels in {"left-behind": ours, "stranger": {"theirs": "1"}}.items():
        stage.client.create_container(images.PYTHON_39, ["true"], name=name, labels=labels)
    stage.client.create_network("left-behind", labels=ours)
    stage.complete(stage.config("print(1)"))
    names = {name.lstrip("/") for found in stage.client.containers(all=True) for name in found["Names"]}
    stage.client.remove_container("stranger")
    assert names == {"stranger"}


def test_no_engine_is_said_at_once(stage: DockerStage, tmp_path: Path) -> None:
    """Nothing is created; exit 3, and one line with what to try."""
    stage.environ["DOCKER_HOST"] = f"unix://{tmp_path}/nowhere.sock"
    done = stage.run("submit", str(stage.config("print(1)")))
    assert (done.returncode, stage.runs()) == (3, [])
    assert "no Docker engine at" in done.stderr


def test_no_permission_is_said_at_once(stage: DockerStage) -> None:
    """To a user who may not talk to the engine: exit 3, and what to try."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:  # pytest's own folders are root's alone.
        theirs = DockerStage(Path(folder), stage.address, stage.client)
        config = theirs.config("print(1)")
        for path in (theirs.folder, *theirs.folder.rglob("*")):
            os.chown(path, 1000, 1000)
        done = theirs.type_as(1000, "submit", str(config), group=1000)
        assert (done.returncode, theirs.runs()) == (3, [])
        assert "no permission on the Docker engine's socket" in done.stderr


def test_name_that_is_taken(stage: DockerStage, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a stranger's container: the run fails and names it, and the stranger's stays."""
    monkeypatch.setenv("DOCKER_HOST", stage.address)
    run_id = "contained_1700000000_0123abcd"
    stage.client.create_container(images.PYTHON_39, ["true"], name=f"{run_id}-local-0")
    stage.write("src/job.py", "print(1)")
    source = ScriptRunConfig(str(stage.folder / "src"), "job.py", docker_runtime_config=DockerConfiguration(True))
    source.run_config.environment.docker.base_image = images.PYTHON_39
    monkeypatch.setenv("RUNNER_WORKSPACE", str(stage.workspace.root))
    Experiment(Workspace.from_config(), "contained").submit(source, run_id=run_id)
    record = stage.wait_ended(run_id)
    stage.client.remove_container(f"{run_id}-local-0")
    assert f"the container name {run_id}-local-0 is taken" in record["failure"]["summary"]


@pytest.fixture(params=["live-restore", "without"])
def own_engine(request: pytest.FixtureRequest) -> Iterator[tuple[Engine, bool]]:
    """An engine to be killed; whether its containers outlive it."""
    survives = request.param == "live-restore"
    with running_engine(options=["--live-restore"] if survives else []) as engine:
        images.import_image(engine, images.PYTHON_39)
        yield engine, survives


def test_engine_that_restarts(own_engine: tuple[Engine, bool], tmp_path: Path) -> None:
    """Killed or told to stop, and back: with live-restore nothing happens, without it the run fails truly."""
    engine, survives = own_engine
    client = engine.client()
    stage = DockerStage(tmp_path, engine.address, client)
    for end in (engine.kill, engine.stop):
        run_id = stage.submit_and_wait(stage.config(_WAITS))
        end()
        engine.start()
        if survives:
            (stage.workspace.node("local-0", run_id).work / "outputs/go").touch()
        record = stage.wait_ended(run_id)
        if survives:
            assert record["status"] == "Completed", stage.explain(record)
            assert stage.workspace.run(run_id).driver_log(None).read_text() == "ready\ndone\n"
        else:
            _failed(stage, record, "its container was stopped (docker stop, or the engine was restarted)")
        stage.expect_nothing_left()
    client.close()


@pytest.mark.chaos
def test_engine_killed_over_a_step_of_its_builder(tmp_path: Path) -> None:
    """What it leaves has no label and no name: `prune` finds it all the same."""
    with running_engine() as engine:
        images.import_image(engine, images.PYTHON_39)
        client = engine.client()
        stage = DockerStage(tmp_path, engine.address, client, DOCKER_BUILDKIT="0")
        dockerfile = f"FROM {images.PYTHON_39}\nRUN echo one > /one\nRUN echo ready to sleep; sleep 600\n"
        run = stage.submit(str(stage.config("print(1)", image_keys={"base_dockerfile": dockerfile})))
        log = run.image_build_log
        wait_until(lambda: log.exists() and log.read_text().count("ready to sleep") > 1, limit_s=LIMIT_S, what="a step")
        engine.kill()
        assert stage.wait_ended(run.root.name)["status"] == "Failed"
        engine.start()
        assert len(client.containers(all=True)) == 1
        assert "which a crash had left" in stage.run("environment", "prune").stdout
        assert client.containers(all=True) == []
        stage.expect_nothing_left()
        client.close()
