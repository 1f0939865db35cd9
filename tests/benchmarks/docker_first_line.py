"""From submit to the first line of a script in a container, against `docker run`; and a cached image found again."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from sidecar.contract.layout import RunLayout
from tests.benchmarks.report import ROOT, Row, Section
from tests.benchmarks.stage import Stage
from tests.benchmarks.timing import CommandFailedError, deadline, differences, take_turns
from tests.docker import images
from tests.docker.engine import Engine, running_engine
from tests.doubles.tiny_wheel import make_wheel

NAME = "docker_first_line"

_LIMIT_S = 1.5
_CHECK_LIMIT_MS = 300.0
_TIMEOUT_S = 120.0
_WORD = "hello from a container"
_BARE = "docker run --rm"
_OURS = "runner submit --show-output"
_TORCHX = "torchx run -s local_docker"
# In a Python of its own, as in a run's controller: what it has to import is part of the check.
_CHECK = """
import os, sys, time
from pathlib import Path
began = time.perf_counter()
from runner.containers.build_log import BuildLog
from runner.containers.engine import address, open_engine, read_facts
from runner.containers.images import Client, Images
from runner.containers.recipe import Recipe
from sidecar.contract.layout import WorkspaceLayout
client = open_engine(os.environ)
images = Images(client, address(os.environ), WorkspaceLayout(Path(sys.argv[2])), os.environ)
asker = Client(owner={}, name="bench", says=lambda text: None, is_canceled=lambda: False)
recipe = Recipe(name="bench", base_image=sys.argv[1], pip="tiny\\n")
had = images.have(recipe, read_facts(client).platform, BuildLog(Path(sys.argv[2], "log")), asker)
print(had.is_hit, (time.perf_counter() - began) * 1000)
"""


def measure(stage: Stage) -> Section:
    """One process, Debian 11 with Python 3.9, everything warm."""
    section = Section(name=NAME, title="submit to first line in a container; check of a cached image")
    with running_engine() as engine:
        images.import_image(engine, images.PYTHON_39)
        environ = stage.environ(DOCKER_HOST=engine.address)
        commands = {_BARE: _bare(), _OURS: _ours(stage), **_torchx(stage, engine, section)}
        acts = {label: lambda argv=argv: _first_line(argv, environ, stage) for label, argv in commands.items()}
        samples = take_turns(acts, runs=stage.count(7))
        for label, found in samples.items():
            section.add(Row(what=f"{label}: to the first line", values=found))
        extra = differences(samples[_OURS], samples[_BARE])
        section.add(Row(what="first line: runner minus docker run, pair by pair", values=extra, limit=_LIMIT_S))
        checks = _checks(stage, environ)
        section.add(Row(what="cached image found again", values=checks, unit="ms", limit=_CHECK_LIMIT_MS))
    section.notes.append("all: from the start of the command until the line comes out of its standard output")
    return section


def _bare() -> Sequence[str]:
    return ("docker", "run", "--rm", images.PYTHON_39, "python3", "-c", f"print({_WORD!r})")


def _ours(stage: Stage) -> Sequence[str]:
    stage.write("contained", "job.py", f"print({_WORD!r})\n")
    docker = {"base_image": images.PYTHON_39}
    config = stage.config(
        "contained", "job.py", environment={"docker": docker}, docker_runtime_config={"use_docker": True}
    )
    return (stage.python, "-m", "runner", "submit", str(config), "--show-output")


def _torchx(stage: Stage, engine: Engine, section: Section) -> Mapping[str, Sequence[str]]:
    peer = stage.peer("containers", section)
    if peer.problem:
        return {}
    client = engine.client()
    # By its id: it would try to pull a name.
    image = str(client.inspect_image(images.PYTHON_39)["Id"])
    client.close()
    run = (peer.program("torchx"), "run", "-s", "local_docker", "--wait", "--log")
    return {_TORCHX: (*run, "utils.sh", "--image", image, "python3", "-c", f"print({_WORD!r})")}


def _first_line(argv: Sequence[str], environ: Mapping[str, str], stage: Stage) -> float:
    """Seconds until the word came out; the command is waited for."""
    errors = stage.scratch / "contained.err"
    first_s = None
    printed: list[str] = []
    folder = ROOT if "runner" in argv else stage.scratch
    with errors.open("w") as err:
        began = time.monotonic()
        process = subprocess.Popen(
            argv,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=err if "--log" not in argv else subprocess.STDOUT,
            text=True,
            env=dict(environ),
            start_new_session=True,
        )
        with process, deadline(process.pid, _TIMEOUT_S):
            assert process.stdout is not None
            for line in process.stdout:
                printed.append(line)
                if first_s is None and _WORD in line and "print" not in line:
                    first_s = time.monotonic() - began
    if process.returncode != 0 or first_s is None:
        said = "".join(printed)[-300:] + errors.read_text()[-300:]
        raise CommandFailedError(f"{argv[0]}: exit code {process.returncode}: {said.strip()}")
    for run in stage.workspace.runs.glob("*") if stage.workspace.runs.is_dir() else ():
        assert RunLayout(run).record.exists()
        shutil.rmtree(run)
    return first_s


def _checks(stage: Stage, environ: Mapping[str, str]) -> list[float]:
    wheels = stage.scratch / "wheels"
    make_wheel(wheels)
    found = []
    asked = {**environ, "PIP_FIND_LINKS": str(wheels), "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"}
    argv = [stage.python, "-c", _CHECK, images.PYTHON_39, str(_folder(stage))]
    for _ in range(stage.count(7) + 1):
        done = subprocess.run(argv, cwd=ROOT, env=asked, capture_output=True, text=True, timeout=_TIMEOUT_S)
        if done.returncode != 0:
            raise CommandFailedError(f"the image could not be had: {done.stderr[-300:]}")
        is_hit, took_ms = done.stdout.split()
        if is_hit == "True":
            found.append(float(took_ms))
    return found


def _folder(stage: Stage) -> Path:
    folder = stage.scratch / "image-workspace"
    folder.mkdir(exist_ok=True)
    return folder
