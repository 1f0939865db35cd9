"""A person with an engine here, and with hosts that have engines of their own."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from sidecar.contract.layout import RunLayout, WorkspaceLayout
from sidecar.contract.stores import LayersLayout
from tests.docker import images
from tests.docker.engine import Engine
from tests.docker_nodes.host_engine import HostEngine
from tests.doubles.command import Command
from tests.faults.lab import wait_until
from tests.lab.laboratory import Laboratory

LIMIT_S = 240.0
_OVER = ("Completed", "Failed", "Canceled")


class NodesStage(Command):
    """Types `runner ...` in a workspace whose target `lab` is the hosts."""

    def __init__(
        self, folder: Path, lab: Laboratory, engine: Engine, engines: Sequence[HostEngine], *, layers: Path
    ) -> None:
        """`layers` keeps parts of images for the workspaces of all tests: to pack one takes seconds."""
        environ = lab.submitter.environment(DOCKER_HOST=engine.address, RUNNER_STOP_GRACE_SECONDS="1")
        super().__init__(
            folder, **{name: environ[name] for name in ("HOME", "DOCKER_HOST", "RUNNER_STOP_GRACE_SECONDS")}
        )
        for name in ("SSH_AUTH_SOCK", "SSH_ASKPASS"):
            self.environ.pop(name, None)
        self.lab = lab
        self.engine = engine
        self.engines = tuple(engines)
        self.workspace.compute.mkdir(parents=True)
        LayersLayout.of(self.workspace.root).root.symlink_to(layers)
        lab.submitter.compute_file(self.workspace.compute_file("lab"))

    def config(self, script: str, *, image: str | None = images.PYTHON_39, **keys: Any) -> Path:
        """A config for `script`, a source text, in a container of `image` on the hosts."""
        self.write("src/job.py", script)
        section = {**({"base_image": image} if image else {}), **keys.pop("image_keys", {})}
        config = {
            "experiment_name": "shipped",
            "source_directory": "src",
            "script": "job.py",
            "compute_target": "lab",
            "environment": {"docker": section, **keys.pop("environment_keys", {})},
            "docker_runtime_config": {"use_docker": True, **keys.pop("runtime", {})},
            **keys,
        }
        return self.write("job.yml", yaml.safe_dump(config))

    def run_to_end(self, config: Path) -> dict[str, Any]:
        """Runs a config to its end; its record."""
        done = self.run("submit", str(config), "--show-output", "-o", "json", limit_s=LIMIT_S)
        assert done.stdout.strip(), done.stderr
        return dict(json.loads(done.stdout), exit_code=done.returncode, stderr=done.stderr)

    def complete(self, config: Path) -> dict[str, Any]:
        """Runs a config, which must complete and leave nothing; its record."""
        record = self.run_to_end(config)
        assert record["status"] == "Completed", self.explain(record)
        self.expect_nothing_left()
        return record

    def layout(self, record: dict[str, Any]) -> RunLayout:
        """The run's folder."""
        return self.workspace.run(record["run_id"])

    def submit_and_wait(self, config: Path, text: str = "ready") -> str:
        """Hands a run over and waits until its process has printed `text`; the run's id."""
        run = self.submit(str(config))
        log = run.driver_log(None)
        wait_until(
            lambda: (log.exists() and text in log.read_text()) or json.loads(run.record.read_text())["status"] in _OVER,
            limit_s=LIMIT_S,
            what=f"{text!r} in {log}",
        )
        return run.root.name

    def wait_ended(self, run_id: str) -> dict[str, Any]:
        """Waits for the run's end; its record."""
        path = self.workspace.run(run_id).record
        wait_until(
            lambda: json.loads(path.read_text())["status"] in _OVER, limit_s=LIMIT_S, what=f"the end of {run_id}"
        )
        return dict(json.loads(path.read_text()), stderr="")

    def explain(self, record: dict[str, Any]) -> str:
        """All that is known of a run that did not go as expected."""
        run = self.workspace.run(record["run_id"])
        logs = [path for path in sorted(run.azureml_logs.glob("*")) if path.stat().st_size < 20_000]
        logs += [run.controller_log]
        told = [f"--- {path}\n{path.read_text(errors='replace')}" for path in logs if path.exists()]
        return "\n".join([json.dumps(record["failure"], indent=1), record["stderr"], *told])

    def said(self, record: dict[str, Any], number: int = 0) -> str:
        """The `55_` of a node."""
        return self.layout(record).execution_log(self.lab[number].name).read_text()

    def work(self, number: int = 0) -> WorkspaceLayout:
        """The work directory of a host, as this machine sees it."""
        return WorkspaceLayout(self.lab[number].path("/home/lab/.runner-node"))

    def clean(self) -> list[dict[str, Any]]:
        """`runner compute clean`: a record a host."""
        return list(self.json("compute", "clean", "lab", "-o", "json"))

    def forget_images(self) -> None:
        """Removes every image from the hosts' engines, whoever brought it there."""
        for engine in self.engines:
            with contextlib.closing(engine.client()) as client:
                for image in client.images():
                    client.remove_image(image["Id"], force=True)

    def expect_nothing_left(self) -> None:
        """No container, volume, network or process, no folder of a run, and no part of an image on any host."""
        for number, engine in enumerate(self.engines):
            host = self.lab[number]
            # The folder goes first, and whoever removed the containers a moment later.
            wait_until(lambda host=host: not host.processes(), limit_s=LIMIT_S, what="the end of what ran there")  # type: ignore[misc]
            assert engine.containers() == []
            assert engine.leftovers() == []
            assert list(self.work(number).nodes.glob("*/*")) == []
            assert list(LayersLayout.of(self.work(number).root).root.glob("*/*")) == []
