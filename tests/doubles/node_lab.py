"""A real node without a controller: a plan, a real supervisor, and orders written by hand."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sidecar.contract
from sidecar import processes
from sidecar.contract import bell, events, lock, publish
from sidecar.contract.layout import AZUREML_LOGS, NodeLayout, RunLayout, driver_log_name
from sidecar.contract.orders import ORDER_NAMES, NodePlan, ProcessSpec, Verb
from sidecar.supervisor_start import start_supervisor

BUNDLE = str(Path(sidecar.contract.__file__).parents[2])


def wait_until(is_reached: Callable[[], bool], *, limit_s: float = 20.0, what: str = "the condition") -> None:
    """Waits for a condition, with a limit; raises AssertionError naming `what` where it is not reached."""
    deadline = time.monotonic() + limit_s
    while not is_reached():
        assert time.monotonic() < deadline, f"{what} was not reached within {limit_s} s"
        time.sleep(0.005)


class NodeLab:
    """One node under `folder`; `close` ends whatever is left of it."""

    def __init__(
        self,
        folder: Path,
        *,
        grace_s: float = 1.0,
        max_run_duration_s: float | None = None,
        environment_variables: dict[str, str] | None = None,
    ) -> None:
        self.run = RunLayout(folder / "run")
        self.node = NodeLayout(folder / "node")
        for made in (self.run.azureml_logs, self.run.system_logs, self.run.metrics, self.node.orders, self.node.work):
            made.mkdir(parents=True)
        self.node.processes.mkdir()
        self.run.record.touch()  # Else the run counts as removed.
        self.plan = NodePlan(
            run_id=f"lab_1_{os.urandom(4).hex()}",
            experiment_name="lab",
            node_id="local-0",
            node_rank=0,
            node_count=1,
            run_root=str(self.run.root),
            bundle=BUNDLE,
            address="127.0.0.1",
            snapshot_store=str(folder),
            snapshot_id="none",
            environment={},
            environment_cache=str(folder / "environments"),
            environment_variables=environment_variables or {},
            stop_grace_s=grace_s,
            max_run_duration_s=max_run_duration_s,
            port_count=0,
            wants_mpi=False,
        )
        self.mark = processes.Mark(self.plan.run_id, self.plan.node_id)
        publish.create_once(self.node.plan, publish.to_json(self.plan.to_record()))
        self.supervise()

    def supervise(self) -> None:
        """Starts a supervisor and waits until it holds the node."""
        self._child = start_supervisor(self.plan, self.node)
        wait_until(lambda: lock.holder(self.node.supervisor_lock) is not None, what="a supervisor")

    @property
    def supervisor_pid(self) -> int:
        """The live supervisor's pid."""
        found = lock.holder(self.node.supervisor_lock)
        assert found is not None, "the supervisor is gone"
        return found.pid

    def kill_supervisor(self) -> None:
        """`kill -9`, and reaped, so that its lock is free."""
        os.kill(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def order(self, verb: Verb, **body: Any) -> None:
        """Gives an order as an agent would."""
        content = publish.to_json({"order": ORDER_NAMES[verb], "verb": verb.value, **body})
        publish.create_once(self.node.order(ORDER_NAMES[verb]), content)
        bell.ring(self.node.bell)

    def start(self, *commands: list[str], expand: bool = False) -> None:
        """Starts one process a command: `main`, or `rank_0`, `rank_1`, ..."""
        specs = []
        for number, argv in enumerate(commands):
            index = number if len(commands) > 1 else None
            name = f"rank_{number}" if index is not None else "main"
            log = f"{AZUREML_LOGS}/{driver_log_name(index)}"
            specs.append(ProcessSpec(name=name, argv=argv, log=log, env={}, number=index, expand=expand))
        self.order(Verb.START, processes=[spec.to_record() for spec in specs])

    def start_python(self, *sources: str) -> None:
        """Starts one Python a source text."""
        self.start(*([sys.executable, "-u", "-c", source] for source in sources))

    def events(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What has happened so far."""
        found = publish.read_records(self.node.events)
        return [record for record in found if kind is None or record["event"] == kind]

    def exits(self) -> dict[str, dict[str, Any]]:
        """Exit records by process."""
        return {record["process"]: record for record in self.events(events.EXITED)}

    def wait_started(self, count: int = 1) -> list[dict[str, Any]]:
        """The `started` events, once there are `count`."""
        wait_until(lambda: len(self.events(events.STARTED)) >= count, what=f"{count} started processes")
        return self.events(events.STARTED)

    def wait_ended(self, *, limit_s: float = 20.0) -> None:
        """Waits until the supervisor says that everything has ended."""
        wait_until(lambda: bool(self.events(events.ENDED)), limit_s=limit_s, what="the end of the processes")

    def log(self, index: int | None = None) -> bytes:
        """What a process printed."""
        return self.run.driver_log(index).read_bytes()

    def left(self) -> list[int]:
        """Pids of the run that still live, the supervisor not counted."""
        return sorted(processes.of_run(self.mark, supervisor=None))

    def close(self) -> None:
        """Ends the supervisor and whatever a failed test left running."""
        self.order(Verb.QUIT)
        with contextlib.suppress(Exception):
            self._child.wait(timeout=5)
        if self._child.poll() is None:
            self.kill_supervisor()
        processes.kill_all(self.mark, supervisor=None)


@contextlib.contextmanager
def node_lab(folder: Path, **options: Any) -> Iterator[NodeLab]:
    """A NodeLab that is closed at the end."""
    lab = NodeLab(folder, **options)
    try:
        yield lab
    finally:
        lab.close()
