"""A workspace whose runs are submitted, hurt, resumed and then checked: the stage of every fault case.

    lab.submit(source) -> Victim -- kill, stop, starve --> victim.wait_end() -> checked(victim)

`checked` (invariants.py) asserts what must hold after every fault, whatever the case itself asserts.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from runner import cancellation, submission
from runner.history.run_record import RunRecord, read_record
from runner.spec.request import DistributedSpec, EnvironmentSpec, PyTorchSpec, RunRequest
from sidecar.contract import identity, lock, publish, settings
from sidecar.contract.layout import NodeLayout, RunLayout, WorkspaceLayout

SCRIPT = "job.py"
# What every script of a fault case can import: `say` writes to standard output and then, the same bytes, to a twin
# that no log handling ever touches. A process killed between the two has one piece more in its log.
_SAID = """
import os
TWIN = os.open("outputs/said-" + os.environ["RUNNER_PROCESS_NAME"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
def say(piece, only=None):
    for descriptor in (1, TWIN) if only is None else (only,):
        view = memoryview(piece)
        while view:
            view = view[os.write(descriptor, view):]
"""
COUNTING = """
import os, time
from said import say
for number in range({lines}):
    say((b"%d " % number) * (number % 40) + b"\\n"); time.sleep({pause})
"""


def seed() -> int:
    """The seed of every random choice: SCRIPTRUN_SEED, else always the same."""
    return int(os.environ.get("SCRIPTRUN_SEED") or "7")


def chance_for(name: str) -> random.Random:
    """Random choices of the test called `name`: equal for equal seeds. Prints what repeats them."""
    print(f"repeat with SCRIPTRUN_SEED={seed()}")
    return random.Random(f"{seed()} {name}")


def wait_until(is_reached: Callable[[], bool], *, limit_s: float = 30.0, what: str = "the condition") -> None:
    """Waits for a condition, with a limit; raises AssertionError naming `what` where it is not reached."""
    deadline = time.monotonic() + limit_s
    while not is_reached():
        assert time.monotonic() < deadline, f"{what} was not reached within {limit_s} s"
        time.sleep(0.005)


def pause(seconds: float) -> None:
    """Lets a chosen time go by: the moment of a fault, never a wait for something to happen."""
    time.sleep(seconds)


class Victim:
    """One run of a lab, with what a fault needs to know of it."""

    def __init__(self, workspace: WorkspaceLayout, run_id: str) -> None:
        self.workspace = workspace
        self.run_id = run_id

    @property
    def run(self) -> RunLayout:
        """The run's folder."""
        return self.workspace.run(self.run_id)

    @property
    def record(self) -> RunRecord:
        """The record as it is now."""
        return read_record(self.run)

    def node(self, number: int = 0) -> NodeLayout:
        """The folder of the `number`-th node."""
        return self.workspace.node(self.record.nodes[number], self.run_id)

    def events(self, number: int = 0) -> list[dict[str, Any]]:
        """What the `number`-th node told the controller so far."""
        return publish.read_records(self.run.node_events(self.record.nodes[number]))

    def started(self) -> dict[str, dict[str, Any]]:
        """The `started` events of all nodes, by process."""
        nodes = range(len(self.record.nodes))
        return {
            record["process"]: record
            for number in nodes
            for record in self.events(number)
            if record["event"] == "started"
        }

    def wait_started(self, *names: str) -> dict[str, dict[str, Any]]:
        """The `started` events, once the named processes (default: `main`) are among them."""
        wanted = set(names or ("main",))
        wait_until(lambda: wanted <= self.started().keys(), what=f"the start of {', '.join(sorted(wanted))}")
        return self.started()

    def wait_log(self, text: bytes, index: int | None = None) -> None:
        """Waits until a process has printed `text`."""
        log = self.run.driver_log(index)
        wait_until(lambda: log.exists() and text in log.read_bytes(), what=f"{text!r} in {log.name}")

    # Whom a fault may hit. Identities, never names: see `pids`.

    def controller(self) -> identity.ProcessIdentity | None:
        """The live controller."""
        return lock.holder(self.run.controller_lock)

    def supervisor(self, number: int = 0) -> identity.ProcessIdentity | None:
        """The live supervisor of the `number`-th node."""
        return lock.holder(self.node(number).supervisor_lock)

    def agents(self) -> list[int]:
        """Pids of the run's agents."""
        return self.pids("sidecar", "agent")

    def pids(self, package: str, part: str) -> list[int]:
        """Pids of `python -m <package> <part> <this run>`, by whole arguments."""
        wanted = [b"-m", package.encode(), part.encode(), self.run_id.encode()]
        found = []
        for pid in _all_pids():
            argv = _read(f"/proc/{pid}/cmdline").split(b"\0")
            if any(argv[start : start + 4] == wanted for start in range(len(argv))):
                found.append(pid)
        return found

    def left(self) -> list[int]:
        """Pids of everything that belongs to this run, the runner's own processes included."""
        mark = f"{settings.MARK_RUN}={self.run_id}".encode()
        marked = [pid for pid in _all_pids() if mark in _read(f"/proc/{pid}/environ").split(b"\0")]
        own = self.pids("runner", "controller") + self.pids("sidecar", "supervisor") + self.agents()
        return sorted({pid for pid in marked + own if _is_live(pid)})

    def kill(self, kind: str, number: int = 0) -> bool:
        """`kill -9` of the controller, or of the `number`-th node's supervisor or agent; False where there is none."""
        agents = self.agents()
        chosen: int | None
        if kind == "agent":
            chosen = agents[number % len(agents)] if agents else None
        else:
            found = self.controller() if kind == "controller" else self.supervisor(number)
            chosen = found.pid if found is not None else None
        return chosen is not None and send(chosen, signal.SIGKILL)

    # The way to the end

    def resume(self) -> bool:
        """What every command does that meets the run: a new controller, where it should have one and has none."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)  # A controller outlives whoever started it, on purpose.
            return submission.resume_if_orphaned(self.workspace, self.run_id)

    def wait_end(self, *, limit_s: float = 60.0, resumes: bool = True) -> RunRecord:
        """The record, once the run has ended; an orphaned run is resumed on the way unless it must not be."""

        def has_ended() -> bool:
            if resumes:
                self.resume()
            return self.record.status.is_terminal

        wait_until(has_ended, limit_s=limit_s, what=f"the end of {self.run.root}")
        return self.record

    def cancel(self) -> RunRecord:
        """Cancels the run as `runner cancel` does."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            return cancellation.cancel(self.workspace, self.run_id)


class Lab:
    """A workspace under `folder`. Close it: whatever a failed case left running is ended."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workspace = WorkspaceLayout(folder / "workspace")
        self.victims: list[Victim] = []
        self._count = 0

    def request(
        self,
        source: str,
        *,
        processes: int = 1,
        nodes: int = 1,
        distributed: DistributedSpec | None = None,
        variables: Mapping[str, str] | None = None,
        environment: EnvironmentSpec | None = None,
        **options: Any,
    ) -> RunRequest:
        """The request for a script with the text `source`, in a folder of its own."""
        self._count += 1
        folder = self.folder / f"source-{self._count}"
        folder.mkdir(parents=True)
        (folder / SCRIPT).write_text(source)
        (folder / "said.py").write_text(_SAID)
        several = PyTorchSpec(process_count=processes, node_count=nodes) if processes > 1 else None
        return RunRequest(
            experiment_name="fault",
            source_directory=str(folder),
            script=SCRIPT,
            distributed=distributed or several,
            environment=environment or EnvironmentSpec(environment_variables=dict(variables or {})),
            **options,
        )

    def submit(self, source: str, *, grace_s: float = 1.0, **options: Any) -> Victim:
        """A run of `source` that a controller has taken over."""
        environ = {**os.environ, settings.STOP_GRACE_S: str(grace_s)}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            record = submission.submit(self.request(source, **options), self.workspace, environ=environ)
        return self.victim(record.run_id)

    def create(self, source: str, **options: Any) -> Victim:
        """A run that has no controller yet: what a submit leaves that is killed in its last moment."""
        with mock.patch.object(submission, "hand_over"):
            return self.submit(source, **options)

    def victim(self, run_id: str) -> Victim:
        """The run `run_id` of this workspace."""
        found = Victim(self.workspace, run_id)
        self.victims.append(found)
        return found

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a command in this workspace."""
        return {**os.environ, settings.WORKSPACE: str(self.workspace.root)}

    def config(self, source: str, **keys: Any) -> Path:
        """A config file beside a script with the text `source`; JSON, which is YAML too."""
        request = self.request(source)
        path = Path(request.source_directory).with_suffix(".yml")
        folder = {"experiment_name": "fault", "source_directory": request.source_directory, "script": SCRIPT}
        path.write_text(json.dumps({**folder, **keys}))
        return path

    def run_ids(self) -> list[str]:
        """The runs of the workspace, oldest first; folders that are no runs yet are left out."""
        runs = self.workspace.runs
        names = [name for name in os.listdir(runs) if not name.startswith(".")] if runs.is_dir() else []
        return sorted(names, key=lambda name: os.stat(runs / name).st_mtime_ns)

    def command(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """`runner ...` in this workspace, to its end."""
        return subprocess.run(
            [sys.executable, "-m", "runner", *arguments],
            env=self.environ,
            cwd=submission.wiring.bundle_folder(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            **{"timeout": 60, **options},
        )

    def popen(self, *arguments: str, prefix: Sequence[str] = (), **options: Any) -> subprocess.Popen[bytes]:
        """`runner ...` in this workspace, behind the words of `prefix`, started."""
        argv = [*prefix, sys.executable, "-m", "runner", *arguments]
        silent = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(argv, env=self.environ, cwd=submission.wiring.bundle_folder(), **{**silent, **options})

    def close(self) -> None:
        """Ends what is left; a case that passed has left nothing."""
        for victim in self.victims:
            for _ in range(20):
                if not [send(pid, signal.SIGKILL) for pid in victim.left()]:
                    break
                pause(0.02)


def send(pid: int, signal_number: int) -> bool:
    """Signals `pid`; False where it is gone."""
    try:
        os.kill(pid, signal_number)
    except ProcessLookupError:
        return False
    return True


def _all_pids() -> Iterator[int]:
    own = os.getpid()
    return (int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != own)


def _is_live(pid: int) -> bool:
    stat = identity.read_stat(pid)
    return stat is not None and stat.state not in ("Z", "X")


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read()
    except OSError:
        return b""
