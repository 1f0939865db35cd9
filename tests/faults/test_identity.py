"""A pid that belongs to somebody else by now: seen as such, and never signalled (F21)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.contract import events, identity, publish
from sidecar.contract.orders import Verb
from tests.doubles.node_lab import node_lab, wait_until

_SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
# Runs as the first process of a pid namespace of its own: a wrapper and its process are killed with their supervisor,
# strangers get their very pids, and only then does the next supervisor look.
_IN_A_NAMESPACE = """
import contextlib, os, signal, subprocess, sys
from pathlib import Path
from sidecar.contract.orders import Verb
from tests.doubles.node_lab import node_lab, wait_until

def are_gone(pids):
    with contextlib.suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)  # We are the first process here: orphans are ours to reap.
    return not any(Path(f"/proc/{pid}").exists() for pid in pids)

def stranger(pid):
    Path("/proc/sys/kernel/ns_last_pid").write_text(str(pid - 1))
    return subprocess.Popen(["sleep", "600"])

with node_lab(Path(sys.argv[1])) as lab:
    lab.start_python("import time; time.sleep(600)")
    started = lab.wait_started()[0]
    os.kill(lab._child.pid, signal.SIGSTOP)
    pids = [started["wrapper"]["pid"], started["pid"]]
    os.kill(pids[0], signal.SIGKILL)
    lab.kill_supervisor()
    wait_until(lambda: are_gone(pids))
    strangers = [stranger(pid) for pid in pids]
    assert [process.pid for process in strangers] == pids, (strangers, pids)
    lab.supervise()
    wait_until(lambda: "main" in lab.exits(), what="an exit record")
    assert lab.exits()["main"]["is_lost"]
    lab.order(Verb.STOP, reason="cancel", grace_s=0.1)
    lab.wait_ended()
    assert [process.poll() for process in strangers] == [None, None]
    for process in strangers:
        process.kill(), process.wait()
print("strangers were left alone")
"""


def test_a_reused_pid_is_a_stranger(tmp_path: Path) -> None:
    """Records that name a live pid with another start: the process is lost, a stop leaves the stranger alone."""
    with subprocess.Popen(_SLEEPER) as stranger, node_lab(tmp_path) as lab:
        found = identity.identify(stranger.pid)
        assert found is not None
        gone = found._replace(start_ticks=found.start_ticks - 1).to_record()
        lab.kill_supervisor()
        lab.node.process("main").mkdir()
        publish.create_once(lab.node.started("main"), publish.to_json(gone))
        started = {"process": "main", "pid": stranger.pid, "wrapper": gone, "log": "x", "index": None}
        events.append(lab.node.events, events.STARTED, **started, is_user=True, address="127.0.0.1")
        lab.supervise()
        wait_until(lambda: "main" in lab.exits(), what="an exit record")
        assert lab.exits()["main"]["is_lost"]
        lab.order(Verb.STOP, reason="cancel", grace_s=0.1)
        lab.wait_ended()
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.root
def test_the_kernel_gives_a_pid_to_somebody_else(tmp_path: Path) -> None:
    """In a pid namespace, where the next pid can be chosen: the real thing."""
    argv = ["unshare", "--pid", "--fork", "--mount-proc", sys.executable, "-c", _IN_A_NAMESPACE, str(tmp_path)]
    done = subprocess.run(argv, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60)
    assert done.stdout == "strangers were left alone\n", done.stderr
