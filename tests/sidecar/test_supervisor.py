"""A real supervisor with real processes: their ends are recorded, their trees are ended, whoever is killed."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from sidecar.contract import events, identity, lock, publish
from sidecar.contract.orders import Verb
from sidecar.supervisor_start import start_supervisor
from tests.doubles.node_lab import NodeLab, node_lab, wait_until

_COUNT = "import sys,time\nfor n in range({lines}):\n print(n); time.sleep({pause})\n"


def test_a_process_writes_straight_into_its_log_and_its_exit_code_is_recorded(tmp_path: Path) -> None:
    """Bytes of any kind arrive as they were written, and the exit code beside them."""
    with node_lab(tmp_path) as lab:
        lab.start_python("import os; os.write(1, bytes(range(256)) * 100); os.write(2, b'end'); os._exit(7)")
        lab.wait_ended()
        assert lab.log() == bytes(range(256)) * 100 + b"end"
        assert lab.exits()["main"]["exit_code"] == 7


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_signal_is_named(tmp_path: Path, number: signal.Signals) -> None:
    """A process that dies of a signal is recorded with that signal and no exit code."""
    with node_lab(tmp_path) as lab:
        lab.start_python(f"import os; os.kill(os.getpid(), {int(number)})")
        lab.wait_ended()
        record = lab.exits()["main"]
        assert (record["exit_code"], record["signal"]) == (None, number.name)


def test_a_program_that_does_not_exist_is_told(tmp_path: Path) -> None:
    """A start that fails is an exit record with the reason, not a hang."""
    with node_lab(tmp_path) as lab:
        lab.start(["/no/such/program"])
        lab.wait_ended()
        assert "/no/such/program" in lab.exits()["main"]["error"]


def test_arguments_arrive_exactly(tmp_path: Path) -> None:
    """Quotes, newlines, unicode, leading dashes: no shell ever sees them; known variables are replaced."""
    arguments = ["-x", "a b", "'\"", "line\nbreak", "ünïcode", "$(touch X)", "$NOT_SET_ANYWHERE", "${HOME}", "", "*"]
    source = "import sys; sys.stdout.buffer.write('\\0'.join(sys.argv[1:]).encode())"
    with node_lab(tmp_path, environment_variables={"HOME": "/home/x"}) as lab:
        lab.start([sys.executable, "-c", source, *arguments], expand=True)
        lab.wait_ended()
        expected = ["/home/x" if argument == "${HOME}" else argument for argument in arguments]
        assert lab.log().decode().split("\0") == expected


def test_the_first_failure_ends_the_others(tmp_path: Path) -> None:
    """A rank that fails takes down ranks that hang, also those that ignore SIGTERM, within the grace and a second."""
    hang = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(600)"
    with node_lab(tmp_path, grace_s=0.5) as lab:
        lab.start_python(hang, "import time; time.sleep(0.5); raise SystemExit(3)", "import time; time.sleep(600)")
        lab.wait_ended(limit_s=10)
        exits = lab.exits()
        assert exits["rank_1"]["exit_code"] == 3
        assert exits["rank_0"]["signal"] == "SIGKILL"
        assert exits["rank_2"]["signal"] == "SIGTERM"
        assert lab.left() == []


def test_a_stop_reaches_grandchildren_that_left_the_session(tmp_path: Path) -> None:
    """setsid and a double fork do not hide a process: after a stop nothing is left, and a census could prove it."""
    source = (
        "import os,time\n"
        "for _ in range(3):\n"
        " if os.fork() == 0:\n"
        "  os.setsid()\n"
        "  if os.fork() == 0: time.sleep(600)\n"
        "  os._exit(0)\n"
        "print('forked'); time.sleep(600)\n"
    )
    with node_lab(tmp_path) as lab:
        lab.start_python(source)
        wait_until(lambda: len(lab.left()) >= 4, what="three daemons beside the process")
        lab.order(Verb.STOP, reason="cancel", grace_s=0.5)
        lab.wait_ended()
        assert lab.left() == []


def test_daemons_left_by_a_finished_script_are_ended(tmp_path: Path) -> None:
    """A script that ends well but leaves a daemon holding its log ends the run all the same, with nothing left."""
    source = "import subprocess,sys; subprocess.Popen(['sleep', '600'], start_new_session=True); print('done')"
    with node_lab(tmp_path, grace_s=0.5) as lab:
        lab.start_python(source)
        lab.wait_ended()
        assert lab.exits()["main"]["exit_code"] == 0
        assert lab.left() == []


def test_the_time_limit_ends_a_run(tmp_path: Path) -> None:
    """max_run_duration is the supervisor's own business: it holds with nobody watching."""
    with node_lab(tmp_path, grace_s=0.3, max_run_duration_s=0.5) as lab:
        lab.start_python("import time; time.sleep(600)")
        lab.wait_ended(limit_s=10)
        assert [record["reason"] for record in lab.events(events.STOPPING)] == ["timeout"]


def test_a_stopped_process_is_told_and_can_be_ended(tmp_path: Path) -> None:
    """SIGSTOP does not save a process from a stop."""
    with node_lab(tmp_path, grace_s=0.3) as lab:
        lab.start_python("import time; time.sleep(600)")
        os.kill(lab.wait_started()[0]["pid"], signal.SIGSTOP)
        lab.order(Verb.STOP, reason="cancel", grace_s=0.3)
        lab.wait_ended(limit_s=10)
        assert lab.left() == []


def test_a_killed_wrapper_takes_its_process_along_and_is_recorded(tmp_path: Path) -> None:
    """Whoever kills the wrapper kills the process; its record says that nobody saw how it ended."""
    with node_lab(tmp_path) as lab:
        lab.start_python("import time; time.sleep(600)")
        os.kill(lab.wait_started()[0]["wrapper"]["pid"], signal.SIGKILL)
        lab.wait_ended(limit_s=10)
        assert lab.exits()["main"]["is_lost"]
        assert lab.left() == []


def test_a_killed_supervisor_loses_nothing(tmp_path: Path) -> None:
    """The next one adopts what runs: same pid, every byte, the true exit code, nothing started twice (F4)."""
    with node_lab(tmp_path) as lab:
        lab.start_python(_COUNT.format(lines=60, pause=0.02) + "raise SystemExit(5)")
        pid = lab.wait_started()[0]["pid"]
        lab.kill_supervisor()
        lab.supervise()
        lab.wait_ended()
        assert lab.log() == b"".join(b"%d\n" % number for number in range(60))[:] + b""
        assert [record["pid"] for record in lab.events(events.STARTED)] == [pid]
        assert lab.exits()["main"]["exit_code"] == 5


def test_daemons_of_a_killed_supervisor_are_found_by_their_mark(tmp_path: Path) -> None:
    """Orphans no longer descend from the new supervisor; the mark in their environment finds them."""
    source = "import subprocess,time; subprocess.Popen(['sleep', '600'], start_new_session=True); time.sleep(600)"
    with node_lab(tmp_path, grace_s=0.3) as lab:
        lab.start_python(source)
        wait_until(lambda: len(lab.left()) >= 2, what="process and daemon")
        lab.kill_supervisor()
        lab.supervise()
        lab.order(Verb.STOP, reason="cancel", grace_s=0.3)
        lab.wait_ended(limit_s=10)
        assert lab.left() == []


def test_supervisors_killed_at_random_moments(tmp_path: Path) -> None:
    """Twenty-five kills at seeded moments: every log equals what its process wrote, each started exactly once."""
    seed = int(os.environ.get("SCRIPTRUN_SEED", "7"))
    print(f"seed {seed}")
    chance = random.Random(seed)
    source = (
        "import hashlib,os,time\n"
        "seen = hashlib.sha256()\n"
        "for n in range(400):\n"
        " line = (b'%d ' % n) * (n % 50) + b'\\n'\n"
        " os.write(1, line); seen.update(line); time.sleep(0.005)\n"
        "open('sum-' + os.environ['RUNNER_PROCESS_NAME'], 'w').write(seen.hexdigest())\n"
    )
    with node_lab(tmp_path) as lab:
        lab.start_python(source, source, source)
        for _ in range(25):
            until = time.monotonic() + chance.uniform(0, 0.06)
            wait_until(lambda until=until: time.monotonic() >= until)
            lab.kill_supervisor()
            lab.supervise()
        lab.wait_ended(limit_s=60)
        _assert_true_to_their_sums(lab, 3)


def _assert_true_to_their_sums(lab: NodeLab, count: int) -> None:
    assert sorted(record["process"] for record in lab.events(events.STARTED)) == [f"rank_{n}" for n in range(count)]
    for number in range(count):
        written = (lab.node.work / f"sum-rank_{number}").read_text()
        assert hashlib.sha256(lab.log(number)).hexdigest() == written
        assert lab.exits()[f"rank_{number}"]["exit_code"] == 0


def test_only_one_supervisor_serves_a_node(tmp_path: Path) -> None:
    """A second one leaves at once (F45)."""
    with node_lab(tmp_path) as lab:
        first = lab.supervisor_pid
        second = start_supervisor(lab.plan, lab.node)
        assert second.wait(timeout=10) == 0
        assert lab.supervisor_pid == first


def test_an_order_that_was_given_twice_is_carried_out_once(tmp_path: Path) -> None:
    """The file of an order can be created only once, whoever sends it again."""
    with node_lab(tmp_path) as lab:
        lab.start_python("print('once')")
        lab.start_python("print('twice')")
        lab.wait_ended()
        assert lab.log() == b"once\n"
        assert publish.read_record(lab.node.order("30-start")) is not None
        assert lock.holder(lab.node.supervisor_lock) is not None


def test_a_supervisor_started_too_late_leaves(tmp_path: Path) -> None:
    """An agent of a killed controller may start one while the node is let go: it must not stay for ever (F52)."""
    with node_lab(tmp_path) as lab:
        lab.order(Verb.QUIT)
        wait_until(lambda: lock.holder(lab.node.supervisor_lock) is None, what="the end of the supervisor")
        assert start_supervisor(lab.plan, lab.node).wait(timeout=10) == 0


def test_a_supervisor_without_a_folder_leaves(tmp_path: Path) -> None:
    """The node's folder was removed under a supervisor that had nothing to do: it ends by itself."""
    with node_lab(tmp_path) as lab:
        wait_until(lambda: bool(lab.events(events.SUPERVISOR)), what="a supervisor at work")
        lab.node.root.rename(tmp_path / "gone")
        lab._child.wait(timeout=10)
        (tmp_path / "gone").rename(lab.node.root)


def test_a_node_that_went_down_between_token_and_event(tmp_path: Path) -> None:
    """A process that died with its machine before anybody told of it is lost, not waited for and not started again."""
    with node_lab(tmp_path) as lab:
        wait_until(lambda: bool(lab.events(events.SUPERVISOR)), what="a supervisor at work")
        lab.kill_supervisor()
        lab.node.process("main").mkdir(parents=True)
        token = identity.own_identity()._replace(boot_id="another boot")
        publish.create_once(lab.node.started("main"), publish.to_json(token.to_record()))
        lab.start_python("print('a second time')")
        events.append(lab.node.events, events.ORDERED, order="30-start")
        lab.supervise()
        lab.wait_ended()
        assert (lab.exits()["main"]["is_lost"], lab.exits()["main"]["is_rebooted"]) == (True, True)
        assert not lab.run.driver_log(None).exists()
