"""A node behind real pipes: its agent may be killed at any time, and every event arrives once."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.nodes.fleet import CancelRequested, Fleet
from runner.nodes.node import Node
from runner.transports.local import LocalTransport
from sidecar import processes
from sidecar.contract import events, publish
from sidecar.contract.layout import AZUREML_LOGS, NodeLayout, RunLayout, driver_log_name
from sidecar.contract.orders import ORDER_NAMES, NodePlan, ProcessSpec, Verb
from tests.doubles.node_lab import BUNDLE, wait_until


@contextlib.contextmanager
def _reach(folder: Path) -> Iterator[tuple[Fleet, Node, NodeLayout, RunLayout]]:
    """A node that was never heard of, and the controller's side of it."""
    run, layout = RunLayout(folder / "run"), NodeLayout(folder / "node")
    for made in (run.azureml_logs, run.system_logs, run.metrics, run.node_events("x").parent, layout.work):
        made.mkdir(parents=True, exist_ok=True)
    run.record.touch()
    plan = NodePlan(
        run_id=f"lab_1_{os.urandom(4).hex()}",
        experiment_name="lab",
        node_id="local-0",
        node_rank=0,
        node_count=1,
        run_root=str(run.root),
        bundle=BUNDLE,
        address="127.0.0.1",
        snapshot_store=str(folder),
        snapshot_id="none",
        environment={},
        environment_cache=str(folder / "environments"),
        environment_variables={},
        stop_grace_s=0.5,
        max_run_duration_s=None,
        port_count=0,
        wants_mpi=False,
    )
    fleet = Fleet()
    node = _node(plan, folder, fleet)
    try:
        yield fleet, node, layout, run
    finally:
        node.order(ORDER_NAMES[Verb.STOP], Verb.STOP, {"reason": "cancel", "grace_s": 0.1})
        node.order(ORDER_NAMES[Verb.QUIT], Verb.QUIT)
        fleet.wait(lambda: node.is_removed, limit_s=15, heeds_cancel=False)
        fleet.close()
        processes.kill_all(processes.Mark(plan.run_id, plan.node_id), supervisor=None)


def _node(plan: NodePlan, folder: Path, fleet: Fleet) -> Node:
    transport = LocalTransport(
        run_id=plan.run_id,
        node_id=plan.node_id,
        node_root=folder / "node",
        bundle=Path(BUNDLE),
        log=folder / "agent.log",
    )
    node = Node(plan, transport, RunLayout(folder / "run").node_events("local-0"), fleet.notify)
    fleet.nodes = (node,)
    return node


def _start(node: Node, source: str) -> None:
    spec = ProcessSpec(
        name="main",
        argv=[sys.executable, "-u", "-c", source],
        log=f"{AZUREML_LOGS}/{driver_log_name(None)}",
        env={},
    )
    node.order(ORDER_NAMES[Verb.START], Verb.START, {"processes": [spec.to_record()]})


def test_a_process_is_started_and_its_end_is_told(tmp_path: Path) -> None:
    """Plan, order, events: one line through everything."""
    with _reach(tmp_path) as (fleet, node, _, run):
        node.open()
        _start(node, "print('hello')")
        assert fleet.wait(lambda: node.state.is_ended, limit_s=20)
        assert node.state.exited["main"]["exit_code"] == 0
        assert run.driver_log(None).read_bytes() == b"hello\n"


def test_agents_killed_at_random_moments(tmp_path: Path) -> None:
    """Twenty-five kills (F3): the journal ends byte-identical to the node's events, the process never notices."""
    seed = int(os.environ.get("SCRIPTRUN_SEED", "11"))
    print(f"seed {seed}")
    chance = random.Random(seed)
    with _reach(tmp_path) as (fleet, node, layout, run):
        node.open()
        _start(node, "import time\nfor n in range(300): print(n); time.sleep(0.02)")
        for _ in range(25):
            assert fleet.wait(lambda: node.hello is not None and node.contact_lost_at is None, limit_s=20)
            until = time.monotonic() + chance.uniform(0, 0.1)
            wait_until(lambda until=until: time.monotonic() >= until)
            with contextlib.suppress(ProcessLookupError):
                os.kill(node.hello["pid"], signal.SIGKILL)  # type: ignore[index]
            fleet.wait(lambda: node.contact_lost_at is not None, limit_s=5)
        assert fleet.wait(lambda: node.state.is_ended, limit_s=60)
        wait_until(lambda: run.node_events("local-0").read_bytes() == layout.events.read_bytes(), what="all events")
        assert run.driver_log(None).read_bytes() == b"".join(b"%d\n" % number for number in range(300))
        assert len([r for r in publish.read_records(layout.events) if r["event"] == events.STARTED]) == 1


def test_an_event_of_many_frames(tmp_path: Path) -> None:
    """A census of ten thousand segments, a long traceback: one event may be longer than a frame, and arrives once."""
    with _reach(tmp_path) as (fleet, node, layout, run):
        node.open()
        _start(node, "import time; time.sleep(600)")
        assert fleet.wait(lambda: "main" in node.state.started, limit_s=20)
        events.append(layout.events, events.STALLED, process="main", padding="x" * 3_000_000)
        assert fleet.wait(lambda: "main" in node.state.stalled, limit_s=20)
        assert run.node_events("local-0").read_bytes() == layout.events.read_bytes()


def test_a_new_controller_goes_on_where_the_last_one_stopped(tmp_path: Path) -> None:
    """A second controller replays the journal and asks for the rest; the order it repeats starts nothing again."""
    with _reach(tmp_path) as (fleet, node, layout, _):
        node.open()
        _start(node, "import time; time.sleep(1); print('end')")
        assert fleet.wait(lambda: "main" in node.state.started, limit_s=20)
        node.close()
        second = _node(node.plan, tmp_path, fleet)
        assert "main" in second.state.started
        second.open()
        _start(second, "print('twice')")
        assert fleet.wait(lambda: second.state.is_ended, limit_s=20)
        assert len([r for r in publish.read_records(layout.events) if r["event"] == events.STARTED]) == 1
        second.order(ORDER_NAMES[Verb.QUIT], Verb.QUIT)
        assert fleet.wait(lambda: second.is_removed, limit_s=15)
        node.is_removed = True


def test_a_node_that_lost_its_folder_is_not_started_again(tmp_path: Path) -> None:
    """Wiped or rebooted: what ran there is lost, and says so; no second plan, no second start (F47)."""
    with _reach(tmp_path) as (fleet, node, layout, _):
        node.open()
        _start(node, "import time; time.sleep(600)")
        assert fleet.wait(lambda: "main" in node.state.started, limit_s=20)
        node.close()
        os.kill(int(publish.read_record(layout.supervisor_lock)["pid"]), signal.SIGKILL)  # type: ignore[index]
        layout.root.rename(tmp_path / "gone")
        second = _node(node.plan, tmp_path, fleet)
        second.open()
        assert fleet.wait(lambda: second.state.is_lost, limit_s=20)
        assert second.state.exited["main"]["is_lost"]
        assert not layout.plan.exists()
        node.is_removed = True


@pytest.mark.parametrize("damage", ["events removed", "events cut", "plan removed"])
def test_a_node_that_loses_what_it_knew_says_so(tmp_path: Path, damage: str) -> None:
    """Somebody damages its folder under a running job: nobody waits for ever, and what runs there ends."""
    with _reach(tmp_path) as (fleet, node, layout, _):
        node.open()
        _start(node, "import time; time.sleep(600)")
        assert fleet.wait(lambda: "main" in node.state.started, limit_s=20)
        if damage == "events cut":
            os.truncate(layout.events, 10)
        else:
            (layout.events if damage == "events removed" else layout.plan).unlink()
        assert fleet.wait(lambda: node.state.is_lost, limit_s=20)
        assert "was removed" in node.state.exited["main"]["loss"]
        assert node.state.step("release") is not None
        node.order(ORDER_NAMES[Verb.QUIT], Verb.QUIT)
        assert fleet.wait(lambda: node.is_removed, limit_s=20)
        assert not processes.of_run(processes.Mark(node.plan.run_id, node.node_id), supervisor=None)


def test_waiting_heeds_a_cancel(tmp_path: Path) -> None:
    """Whoever waits lets go once the run is to be canceled."""
    fleet = Fleet()
    fleet.watch_cancel((tmp_path / "cancel").exists)
    (tmp_path / "cancel").touch()
    with pytest.raises(CancelRequested):
        fleet.wait(lambda: False)
