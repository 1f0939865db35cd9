"""A changed layer of a 1 GB image on its way to a host's engine, against `docker save | ssh docker load`."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from pathlib import Path

from sidecar.contract import publish
from sidecar.contract.orders import Verb
from tests.benchmarks.hosts import Hosts, standing
from tests.benchmarks.report import Row, Section
from tests.benchmarks.stage import Stage
from tests.benchmarks.timing import CommandFailedError, ratios, take_turns
from tests.docker import images
from tests.docker.engine import Engine, running_engine
from tests.docker_nodes.host_engine import engines_on
from tests.lab.command import LabError

NAME = "ssh_image"

_LIMIT = 0.2
_TIMEOUT_S = 600.0
_MIB = 2**20
_CHANGED_MIB = 30
_PEER = "docker save | ssh docker load"
_OURS = "runner: image asked for to image there"


def measure(stage: Stage) -> Section:
    """The host has an older image of the same name; only its last layer is another."""
    section = Section(
        name=NAME, title=f"1 GB image with one changed layer of {_CHANGED_MIB} MiB, to an engine over ssh"
    )
    try:
        with (
            standing(stage, 1) as hosts,
            engines_on(list(hosts.lab), in_memory=False),
            running_engine(has_own_network=False) as engine,
        ):
            bench = _Bench(stage, hosts, engine)
            bench.run(bench.build())  # The large layers reach the host, and are packed once.
            samples = take_turns({_PEER: bench.save_and_load, _OURS: bench.ship}, runs=stage.count(3))
    except LabError as error:
        section.notes.append(f"SKIPPED: {error}")
        return section
    for label, found in samples.items():
        section.add(Row(what=label, values=found))
    theirs, ours = samples.values()
    section.add(Row(what="runner / docker save | ssh docker load", values=ratios(ours, theirs), unit="x", limit=_LIMIT))
    section.notes.append("runner: in the course of a run, by the node's journal")
    return section


class _Bench:
    def __init__(self, stage: Stage, hosts: Hosts, engine: Engine) -> None:
        self._stage = stage
        self._hosts = hosts
        self._environ = {**hosts.environ, "DOCKER_HOST": engine.address}
        self._count = 0
        self._context = stage.scratch / "image-context"
        self._context.mkdir()
        images.import_image(engine, images.PYTHON_39)
        _fill(self._context / "large", stage.size(880, small=60))
        lines = (f"FROM {images.PYTHON_39}", "COPY large /opt/large", "COPY changed /opt/changed")
        (self._context / "Dockerfile").write_text("\n".join(lines) + "\n")

    def build(self) -> str:
        """Another version of the image, here; its name."""
        self._count += 1
        _fill(self._context / "changed", _CHANGED_MIB)
        name = f"bench-image:v{self._count}"
        self._do(f"docker build --quiet --tag {name} {shlex.quote(str(self._context))}")
        return name

    def save_and_load(self) -> float:
        """Seconds until the host's engine has the next version."""
        name = self.build()
        ssh = shlex.join(self._hosts.lab.submitter.ssh_command(self._hosts.lab[0], "docker", "load"))
        began = time.monotonic()
        self._do(f"set -o pipefail; docker save {name} | {ssh}")
        return time.monotonic() - began

    def ship(self) -> float:
        """The same by a run in it."""
        return self.run(self.build())

    def run(self, image: str) -> float:
        """Seconds from the moment that the node's engine is known until it has the image."""
        config = self._hosts.config(
            "shipped",
            "print(1)\n",
            python="python3",
            environment={"docker": {"base_image": image}},
            docker_runtime_config={"use_docker": True},
        )
        command = self._hosts.command("shipped: runner submit", "submit", str(config), "--show-output")
        done = subprocess.run(
            command.argv, cwd=command.cwd, env=self._environ, capture_output=True, text=True, timeout=_TIMEOUT_S
        )
        if done.returncode != 0:
            raise CommandFailedError(
                f"runner submit: exit code {done.returncode}: {done.stdout[-300:]} {done.stderr[-300:]}"
            )
        run = self._hosts.run_named_in(done.stdout)
        self._hosts.wait_end(run)
        steps = {
            record["step"]: record
            for record in publish.read_records(run.node_events(self._hosts.lab[0].name))
            if record["event"] == "step" and record["state"] == "done"
        }
        shutil.rmtree(run.root)
        house, engine = steps[Verb.HOUSE.value], steps[Verb.ENGINE.value]
        return float(house["at_ns"] - engine["at_ns"]) / 1e9 - float(house["start_s"])

    def _do(self, line: str) -> None:
        done = subprocess.run(
            ["bash", "-c", line], env=self._environ, capture_output=True, text=True, timeout=_TIMEOUT_S
        )
        if done.returncode != 0:
            raise CommandFailedError(f"{line}: exit code {done.returncode}: {done.stderr[-300:]}")


def _fill(path: Path, size_mib: int) -> None:
    """Bytes that no compression makes smaller."""
    with open(path, "wb") as stream:
        for _ in range(size_mib):
            stream.write(os.urandom(_MIB))
