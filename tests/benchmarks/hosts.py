"""Bare hosts for the benchmarks over SSH: a lab, and a workspace whose compute target they are.

A lab's hosts are children of the benchmark, so nothing here waits for "every child" (`timing.drain`) while it stands.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from runner.history.run_record import read_record
from runner.history.status import RunStatus
from sidecar.contract import lock, publish
from sidecar.contract.layout import RunLayout
from tests.benchmarks.stage import Stage
from tests.benchmarks.timing import Command, CommandFailedError, start_and_wait
from tests.lab.command import LabError
from tests.lab.host import Host
from tests.lab.laboratory import Laboratory

TARGET = "lab"
# A host shows this machine's own system, without /root and /home: of its Pythons only that one is there for jobs.
PYTHON = "/usr/bin/python3"
HOME = "/home/lab"
# Scripts that are watched from their first byte on wait for it.
GO = f"{HOME}/go"
# Smaller, and looking takes the core from what is looked at; larger, and the look itself is in the figure.
LOOK_S = 0.001
_LIMIT_S = 120.0
_AGENT_VARIABLES = ("SSH_AUTH_SOCK", "SSH_ASKPASS")


class Hosts:
    """The hosts, and runs on them. The first run on a host ships the sidecar: a warm-up takes that."""

    def __init__(self, stage: Stage, lab: Laboratory) -> None:
        self.stage = stage
        self.lab = lab
        folder = stage.workspace.compute
        folder.mkdir(parents=True, exist_ok=True)
        lab.submitter.compute_file(stage.workspace.compute_file(TARGET))

    @property
    def environ(self) -> dict[str, str]:
        """Clean environment variables, with the home that holds the keys, and no ssh agent."""
        kept = self.stage.environ(HOME=str(self.lab.submitter.home), NO_COLOR="1")
        return {name: value for name, value in kept.items() if name not in _AGENT_VARIABLES}

    def config(self, name: str, script: str, *, python: Path | str = PYTHON, **keys: Any) -> Path:
        """A config file for a script with the text `script` on these hosts."""
        self.stage.write(name, f"{name}.py", script)
        return self.stage.config(name, f"{name}.py", python=str(python), compute_target=TARGET, **keys)

    def command(self, label: str, *arguments: str) -> Command:
        """The product's command for these hosts."""
        return self.stage.runner(label, *arguments, environ=self.environ, timeout_s=_LIMIT_S)

    def submit(self, config: Path) -> RunLayout:
        """A run that a controller has taken over."""
        command = self.command(f"{config.stem}: runner submit", "submit", str(config))
        start_and_wait(command)
        return self.run_named_in(command.stdout.read_text())

    def run_named_in(self, printed: str) -> RunLayout:
        """The run that `runner submit` has printed the id of."""
        ids = [line.split()[1] for line in printed.splitlines() if line.startswith("RunId:")]
        if not ids:
            raise CommandFailedError(f"runner submit named no run: {printed[:200]!r}")
        return self.stage.workspace.run(ids[0])

    def wait_end(self, run: RunLayout, status: RunStatus = RunStatus.COMPLETED) -> float:
        """When the run was seen to have ended (monotonic); its controller has gone on return."""
        wait_until(lambda: read_record(run).status.is_terminal, f"the end of {run.root.name}", look_s=0.005)
        ended = time.monotonic()
        wait_until(lambda: lock.holder(run.controller_lock) is None, "the end of the controller", look_s=0.005)
        record = read_record(run)
        if record.status is not status:
            raise CommandFailedError(f"{run.root.name} is {record.status}: {record.failure or record.warnings}")
        return ended

    def place(self, host: Host, name: str, content: str) -> str:
        """A file in the home of user lab, which others may read; returns its path on the host."""
        path = self.lab.homes(host) / "lab" / name
        path.write_text(content)
        path.chmod(0o644)
        return f"{HOME}/{name}"

    def let_go(self, host: Host) -> None:
        """Lets a script begin that waits for it."""
        host.path(GO).touch()

    def hold(self, host: Host) -> None:
        """Scripts wait again."""
        host.path(GO).unlink(missing_ok=True)


@contextlib.contextmanager
def standing(stage: Stage, count: int) -> Iterator[Hosts]:
    """So many hosts, as long as the context lasts. Raises CommandFailedError where the lab does not stand."""
    try:
        with Laboratory.start(count) as lab:
            yield Hosts(stage, lab)
    except LabError as error:
        raise CommandFailedError(f"lab: {error}") from error


def wait_until(is_reached: Callable[[], bool], what: str, *, look_s: float = LOOK_S, limit_s: float = _LIMIT_S) -> None:
    """Waits for a condition, with a limit; raises CommandFailedError that names `what`."""
    deadline = time.monotonic() + limit_s
    while not is_reached():
        if time.monotonic() > deadline:
            raise CommandFailedError(f"{what} was not reached within {limit_s:g} s")
        time.sleep(look_s)


def size_of(path: Path) -> int:
    """The size of a file; 0 where it is not there yet."""
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


def event_times_s(run: RunLayout, nodes: Iterator[str] | list[str], event: str) -> list[float]:
    """When the nodes said that `event` happened, by the clock that all hosts of a lab share."""
    found = [record for node in nodes for record in publish.read_records(run.node_events(node))]
    return [record["at_ns"] / 1e9 for record in found if record["event"] == event]
