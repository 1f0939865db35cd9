"""A person at the submitting machine of a lab, who types `runner ...` there."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar.contract import publish
from sidecar.contract.layout import RunLayout, WorkspaceLayout
from tests.doubles.run_folders import command_line
from tests.faults.lab import wait_until
from tests.lab.laboratory import Laboratory

PYTHON = {"python": {"user_managed_dependencies": True, "interpreter_path": "/usr/bin/python3"}}


class Person:
    """Has a workspace with the target `lab`, and types commands into it."""

    def __init__(self, folder: Path, lab: Laboratory) -> None:
        self.lab = lab
        self.folder = folder
        self.workspace = WorkspaceLayout(folder / "workspace")
        self.workspace.compute.mkdir(parents=True)
        self.attach()

    def attach(self, name: str = "lab", **changes: Any) -> None:
        """Writes the compute file of a target with all hosts."""
        self.lab.submitter.compute_file(self.workspace.compute_file(name), **changes)

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Types a command."""
        environ = self.lab.submitter.environment(
            RUNNER_WORKSPACE=str(self.workspace.root), RUNNER_STOP_GRACE_SECONDS="1", NO_COLOR="1"
        )
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL}
        return subprocess.Popen(command_line(*arguments), env=environ, text=True, **{**pipes, **options})

    def type(self, *arguments: str, limit_s: float = 90.0, **options: Any) -> subprocess.CompletedProcess[str]:
        """Types a command and waits for its end."""
        process = self.start(*arguments, **options)
        try:
            out, words = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return subprocess.CompletedProcess(process.args, process.returncode, out, words)

    def type_secretly(self, secret: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Types a command that reads a password from a pipe."""
        source, target = os.pipe()
        os.write(target, f"{secret}\n".encode())
        os.close(target)
        try:
            return self.type(*arguments, "--password-fd", str(source), pass_fds=(source,), **options)
        finally:
            os.close(source)

    def ask(self, *arguments: str) -> Any:
        """What the command prints with `-o json`."""
        return json.loads(self.type(*arguments, "-o", "json").stdout)

    def config(self, script: str, *, nodes: int = 1, **changes: Any) -> str:
        """Writes a script and a config file that runs it on the hosts."""
        source = self.folder / "source"
        source.mkdir(exist_ok=True)
        (source / "train.py").write_text(textwrap.dedent(script))
        record = {"script": "train.py", "source_directory": "source", "compute_target": "lab", "environment": PYTHON}
        if nodes > 1:
            record["distributed_job_config"] = {"type": "PyTorch", "process_count": nodes, "node_count": nodes}
        path = self.folder / "run.yml"
        path.write_text(json.dumps({**record, **changes}))
        return str(path)

    def submit(self, script: str, *, nodes: int = 1) -> RunLayout:
        """Submits a script, and returns once it runs on every node."""
        found = self.ask("submit", self.config(script, nodes=nodes))
        run = self.workspace.run(found["run_id"])
        wait_until(lambda: len(publish.read_records(run.process_info)) == nodes, limit_s=60.0, what="processes")
        return run

    def wait_status(self, run: RunLayout, status: str) -> None:
        """Waits until the run's record has that status."""
        wait_until(lambda: json.loads(run.record.read_text())["status"] == status, limit_s=60.0, what=status)

    def close(self) -> None:
        """Cancels what still runs, so that no controller outlives the lab."""
        for entry in self.workspace.runs.iterdir() if self.workspace.runs.is_dir() else ():
            self.type("cancel", entry.name, "--abandon")


@pytest.fixture
def person(lab: Laboratory, tmp_path: Path) -> Iterator[Person]:
    """A person with the hosts of `lab`."""
    made = Person(tmp_path, lab)
    yield made
    made.close()
