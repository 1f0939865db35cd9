"""An engine on a host that restarts under a run, and a host that is rebooted: the run goes on, or says why not."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.docker import images
from tests.docker.engine import Engine
from tests.docker_nodes.host_engine import HostEngine, engines_on
from tests.docker_nodes.stage import LIMIT_S, NodesStage
from tests.faults.lab import wait_until
from tests.lab.laboratory import Laboratory

pytestmark = [pytest.mark.docker, pytest.mark.lab, pytest.mark.timeout(900)]

# What it says goes to its log and then, the same bytes, into a file that no log handling touches.
_COUNTS = """
import os, time
said = os.open("outputs/said", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
def say(piece):
    os.write(1, piece)
    os.write(said, piece)
say(b"ready\\n")
number = 0
while not os.path.exists("outputs/go"):
    say(b"%d " % number * (number % 40) + b"\\n")
    number += 1
    time.sleep(0.002)
say(b"done\\n")
"""


def _begin(stage: NodesStage) -> str:
    """A run whose log grows; its id."""
    run_id = stage.submit_and_wait(stage.config(_COUNTS))
    log = stage.workspace.run(run_id).driver_log(None)
    wait_until(lambda: log.stat().st_size > 20_000, limit_s=LIMIT_S, what="some of the log")
    return run_id


def _wait_for(log: Path, text: str) -> None:
    wait_until(lambda: log.exists() and text in log.read_text(), limit_s=LIMIT_S, what=f"{text!r} in {log}")


def _let_end(stage: NodesStage, run_id: str) -> None:
    """The script ends by itself soon."""
    (stage.work().node(stage.lab[0].name, run_id).work / "outputs/go").touch()


def _expect_whole(stage: NodesStage, record: dict[str, Any]) -> None:
    """Whatever the process had said is in its log; at most the piece it died over is nowhere else."""
    run = stage.layout(record)
    log, said = run.driver_log(None).read_bytes(), (run.outputs / "said").read_bytes()
    assert len(said) > 10_000
    assert log.startswith(said)
    assert log[len(said) :].count(b"\n") <= 1


def _with_a_file(stage: NodesStage, size_bytes: int) -> Path:
    """A config for a job in an image with a layer of so many bytes that the host has not."""
    folder = stage.folder / "context"
    folder.mkdir()
    (folder / "added").write_bytes(random.Random(size_bytes).randbytes(size_bytes))
    (folder / "Dockerfile").write_text(f"FROM {images.PYTHON_39}\nCOPY added /added\n")
    script = "import os; print(os.path.getsize('/added'))"
    return stage.config(script, image=None, image_keys={"build_context": str(folder)})


def _go_on(stage: NodesStage, engine: HostEngine, options: Sequence[str], end: str) -> None:
    """With live-restore nothing happens to the job."""
    run_id = _begin(stage)
    getattr(engine, end)()
    engine.start(*options)
    _let_end(stage, run_id)
    record = stage.wait_ended(run_id)
    assert record["status"] == "Completed", stage.explain(record)
    _expect_whole(stage, record)
    assert stage.layout(record).driver_log(None).read_bytes().endswith(b"done\n")
    stage.expect_nothing_left()


def _end_truly(stage: NodesStage, engine: HostEngine, end: str) -> None:
    """Without it the containers end with the engine: the run says so, and has every byte."""
    run_id = _begin(stage)
    getattr(engine, end)()
    engine.start()
    record = stage.wait_ended(run_id)
    assert record["status"] == "Failed", stage.explain(record)
    assert "engine was restarted" in record["failure"]["summary"], stage.explain(record)
    _expect_whole(stage, record)
    stage.expect_nothing_left()


@pytest.fixture
def restoring(stage: NodesStage) -> Iterator[list[str]]:
    """The first host's engine lets containers live while it restarts; the options for that."""
    options = ["--live-restore"]
    stage.engines[0].stop()
    stage.engines[0].start(*options)
    yield options
    stage.engines[0].stop()
    stage.engines[0].start()


@pytest.mark.parametrize("end", ["kill", pytest.param("stop", marks=pytest.mark.chaos)])
def test_engine_that_restores_its_containers(stage: NodesStage, restoring: list[str], end: str) -> None:
    """Killed or told to stop, and back: the job does not notice, and nothing is left."""
    _go_on(stage, stage.engines[0], restoring, end)


@pytest.mark.parametrize("end", ["kill", pytest.param("stop", marks=pytest.mark.chaos)])
def test_engine_that_takes_its_containers_along(stage: NodesStage, end: str) -> None:
    """Killed or told to stop, and back: Failed, with the engine named; every byte of the log, and nothing is left."""
    _end_truly(stage, stage.engines[0], end)


def test_engine_that_is_away_before_the_containers_are_up(stage: NodesStage) -> None:
    """It goes while the image travels, and is back once that has come: the run waits for it, and completes."""
    stage.complete(stage.config("print(1)"))
    config = _with_a_file(stage, 4_000_000)
    # So slowly that it cannot have come before the engine has gone.
    stage.lab.faults.throttle(0, 1_000_000)
    try:
        run = stage.submit(str(config))
        log = run.execution_log("lab1")
        _wait_for(log, "Shipping 1 of")
        stage.engines[0].kill()
        stage.lab.faults.heal(0)
        _wait_for(log, "Shipped the image")
    finally:
        stage.lab.faults.heal(0)
        stage.engines[0].stop()
        stage.engines[0].start()
    record = stage.wait_ended(run.root.name)
    assert record["status"] == "Completed", stage.explain(record)
    assert run.driver_log(None).read_text() == "4000000\n"
    stage.expect_nothing_left()


class _Rebooted:
    """A host of its own whose engine keeps everything on the disk, and a person without an engine."""

    def __init__(self, stage: NodesStage, engines: list[HostEngine]) -> None:
        self.stage = stage
        self._engines = engines

    def reboot(self) -> None:
        """Takes the host's power away and gives it back; its engine is not started yet."""
        self.stage.lab.faults.reboot(0)

    def start_engine(self) -> None:
        """As the host does when it boots."""
        engine = HostEngine(self.stage.lab[0], in_memory=False)
        self._engines.append(engine)
        self.stage.engines = (engine,)
        engine.start()


@pytest.fixture
def alone(tmp_path: Path, layers: Path, here: Engine) -> Iterator[_Rebooted]:
    """The host has the image, so that nothing needs to be shipped."""
    with Laboratory.start(1) as lab, engines_on(list(lab), in_memory=False) as engines:
        images.import_image(engines[0], images.PYTHON_39)
        stage = NodesStage(tmp_path, lab, here, engines, layers=layers)
        stage.environ["DOCKER_HOST"] = f"unix://{tmp_path}/nobody"
        yield _Rebooted(stage, engines)
        for run_id in stage.runs():
            stage.run("cancel", run_id, "--abandon")


def _expect_rebooted(stage: NodesStage, record: dict[str, Any]) -> None:
    assert record["status"] == "Failed", stage.explain(record)
    assert "main on lab1 failed first: lost (rebooted)" in record["failure"]["summary"], stage.explain(record)
    assert "went down with its machine, which was rebooted" in stage.said(record), stage.explain(record)
    _expect_whole(stage, record)


def test_a_reboot(alone: _Rebooted) -> None:
    """The run ends as Failed, lost with the host; what the host still has comes home, and nothing stays there."""
    run_id = _begin(alone.stage)
    alone.reboot()
    alone.start_engine()
    _expect_rebooted(alone.stage, alone.stage.wait_ended(run_id))
    alone.stage.expect_nothing_left()


@pytest.mark.chaos
def test_a_reboot_and_an_engine_that_comes_late(alone: _Rebooted) -> None:
    """To say what happened nobody needs the engine; what could not be removed without it goes with the next run."""
    run_id = _begin(alone.stage)
    alone.reboot()
    record = alone.stage.wait_ended(run_id)
    _expect_rebooted(alone.stage, record)
    assert any("containers may be left" in warning for warning in record["warnings"]), record["warnings"]
    alone.start_engine()
    alone.stage.complete(alone.stage.config("print(1)"))


@pytest.mark.chaos
def test_a_reboot_while_the_image_travels(alone: _Rebooted, here: Engine) -> None:
    """The host goes on with what it has of the image, and the run completes."""
    stage = alone.stage
    stage.environ["DOCKER_HOST"] = here.address
    stage.lab.faults.throttle(0, 5_000_000)
    run = stage.submit(str(_with_a_file(stage, 12_000_000)))
    log = run.execution_log("lab1")
    _wait_for(log, "MiB sent")
    alone.reboot()
    stage.lab.faults.heal(0)
    alone.start_engine()
    record = stage.wait_ended(run.root.name)
    assert record["status"] == "Completed", stage.explain(record)
    assert "bytes were there" in stage.said(record)
    stage.expect_nothing_left()
