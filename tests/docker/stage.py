"""A person with a workspace and an engine."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import docker
import yaml

from tests.docker import images
from tests.doubles.command import Command
from tests.doubles.node_lab import wait_until

# A busy machine starts containers in seconds, and installs packages in minutes.
LIMIT_S = 240.0


class DockerStage(Command):
    """Types `runner ...`, and looks at the engine."""

    def __init__(self, folder: Path, address: str, client: docker.APIClient, **environ: str) -> None:
        super().__init__(folder, DOCKER_HOST=address, HOME=str(folder / "home"), **environ)
        self.address = address
        self.client = client
        self._known_networks = {network["Name"] for network in client.networks()}

    def config(self, script: str, *, image: str = images.PYTHON_39, name: str = "job.yml", **keys: Any) -> Path:
        """A config for `script`, a source text, in a container of `image`; `keys` are further keys."""
        self.write("src/job.py", script)
        docker_section = {"base_image": image, **keys.pop("image_keys", {})}
        if docker_section.keys() & {"base_dockerfile", "build_context"}:
            del docker_section["base_image"]
        environment = {"docker": docker_section, **keys.pop("environment", {})}
        config = {
            "experiment_name": "contained",
            "source_directory": "src",
            "script": "job.py",
            "environment": environment,
            "docker_runtime_config": {"use_docker": True, **keys.pop("runtime", {})},
            **keys,
        }
        return self.write(name, yaml.safe_dump(config))

    def run_to_end(self, config: Path) -> dict[str, Any]:
        """Runs a config to its end; its record."""
        done = self.run("submit", str(config), "--show-output", "-o", "json", limit_s=LIMIT_S)
        return dict(json.loads(done.stdout), exit_code=done.returncode, stderr=done.stderr)

    def folder_of(self, record: dict[str, Any]) -> Path:
        """The run's folder."""
        return Path(record["run_directory"])

    def driver_log(self, record: dict[str, Any]) -> str:
        """What the only process printed."""
        return self.workspace.run(record["run_id"]).driver_log(None).read_text()

    def complete(self, config: Path) -> dict[str, Any]:
        """Runs a config, which must complete; its record."""
        record = self.run_to_end(config)
        assert record["status"] == "Completed", self.explain(record)
        return record

    def explain(self, record: dict[str, Any]) -> str:
        """All that is known of a run that did not go as expected."""
        run = self.workspace.run(record["run_id"])
        logs = [path for path in sorted(run.azureml_logs.glob("*")) if path.stat().st_size < 20_000]
        logs += [run.controller_log, *self.workspace.nodes.glob("*/*/*.log")]
        told = [f"--- {path}\n{path.read_text(errors='replace')}" for path in logs if path.exists()]
        return "\n".join([json.dumps(record["failure"], indent=1), record["stderr"], *told])

    def submit_and_wait(self, config: Path, text: str = "ready") -> str:
        """Hands a run over and waits until its process has printed `text`; the run's id."""
        run = self.submit(str(config))
        log = run.driver_log(None)
        wait_until(lambda: log.exists() and text in log.read_text(), limit_s=LIMIT_S, what=f"{text!r} in {log}")
        return run.root.name

    def wait_ended(self, run_id: str) -> dict[str, Any]:
        """Waits for the run's end; its record."""
        path = self.workspace.run(run_id).record
        over = ("Completed", "Failed", "Canceled")
        wait_until(lambda: json.loads(path.read_text())["status"] in over, limit_s=LIMIT_S, what=f"the end of {run_id}")
        return dict(json.loads(path.read_text()), stderr="", run_directory=str(path.parent))

    def containers(self, run_id: str | None = None) -> dict[str, dict[str, Any]]:
        """Containers with our labels, by name."""
        wanted = "io.scriptrun.run" if run_id is None else f"io.scriptrun.run={run_id}"
        found = self.client.containers(all=True, filters={"label": wanted})
        return {str(container["Names"][0]).lstrip("/"): container for container in found}

    def expect_nothing_left(self) -> None:
        """No container, network or volume, and no image without a name."""
        assert not self.containers()
        assert {network["Name"] for network in self.client.networks()} <= self._known_networks
        assert not (self.client.volumes()["Volumes"] or ())
        assert not self.client.images(filters={"dangling": True})

    def remove_built_images(self) -> None:
        """Removes every image that runs have built here; one that others were made from goes after them."""
        while built := self.client.images(filters={"label": "io.scriptrun.key"}):
            refusals = []
            for found in built:
                try:
                    self.client.remove_image(found["Id"], force=True)
                except docker.errors.APIError as error:
                    refusals.append(error)
            if len(refusals) == len(built):
                raise refusals[0]

    def type_as(self, uid: int, *arguments: str, group: int) -> subprocess.CompletedProcess[str]:
        """Runs the command as another user, who is in `group` too."""
        # May read everything, so that a checkout below root's home will do; that does not reach into containers.
        rights = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
        become = ["setpriv", f"--reuid={uid}", f"--regid={uid}", f"--groups={group}", *rights]
        return subprocess.run(
            [*become, sys.executable, "-m", "runner", *arguments],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
