"""`runner cancel` on 8 hosts of ranks that ignore SIGTERM, each with a grandchild in a session of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from runner.history.run_record import read_record
from runner.history.status import RunStatus
from tests.benchmarks.hosts import Hosts, standing, wait_until
from tests.benchmarks.report import Row, Section
from tests.benchmarks.stage import Stage
from tests.benchmarks.timing import CommandFailedError, take_turns

NAME = "ssh_cancel"

_LIMIT_BEYOND_GRACE_S = 2.0
_HOSTS = 8
_SMALL_HOSTS = 2
# A look walks through /proc: more often, and it takes the time from what is to end.
_LOOK_S = 0.02
_LIMIT_S = 60.0
_SCRIPT = """
import os
import signal
import time

signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
os.wait()
print("up", flush=True)
time.sleep(600)
"""
_SCRIPT_NAME = "cancel.py"
_JOB, _ALL, _COMMAND = "ranks and grandchildren", "everything of the user's", "runner cancel returned"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ending:
    """Seconds after the start of `runner cancel` by what had ended then."""

    grace_s: float
    after_s: dict[str, float] = field(default_factory=dict)


def measure(stage: Stage) -> Section:
    """With the grace that a run has by itself."""
    count = stage.size(_HOSTS, small=_SMALL_HOSTS)
    section = Section(name=NAME, title=f"cancel of {count} hosts to nothing left; ranks and grandchildren ignore TERM")
    with standing(stage, count) as hosts:
        (samples,) = take_turns({"cancel": lambda: _cancel(hosts, count)}, runs=stage.count(3)).values()
    (grace_s,) = {one.grace_s for one in samples}
    for what in (_JOB, _ALL, _COMMAND):
        section.add(Row(what=f"{what}: after the start of the command", values=[one.after_s[what] for one in samples]))
    beyond = [one.after_s[_ALL] - grace_s for one in samples]
    what = f"{_ALL}: beyond the grace of {grace_s:g} s"
    section.add(Row(what=what, values=beyond, limit=_LIMIT_BEYOND_GRACE_S))
    section.notes.append(
        f"{_ALL}: no process of the login user on any host, sshd's ends of sessions, agent and supervisor included;"
        f" looked at every {_LOOK_S * 1000:.0f} ms"
    )
    return section


def _cancel(hosts: Hosts, count: int) -> _Ending:
    shape = {"type": "PyTorch", "process_count": count, "node_count": count}
    run = hosts.submit(hosts.config("cancel", _SCRIPT, distributed_job_config=shape))
    logs = [run.driver_log(rank) for rank in range(count)]
    wait_until(lambda: all(log.exists() and b"up" in log.read_bytes() for log in logs), "every rank")
    grace_s = float(read_record(run).extra["settings"]["stop_grace_s"])
    if len(_left(hosts, of_job=True)) != 2 * count:
        raise CommandFailedError(f"{len(_left(hosts, of_job=True))} processes of the job, not two a host")
    after_s = _time(hosts, run.root.name)
    hosts.wait_end(run, RunStatus.CANCELED)
    shutil.rmtree(run.root)
    return _Ending(grace_s=grace_s, after_s=after_s)


def _time(hosts: Hosts, run_id: str) -> dict[str, float]:
    command = hosts.command("cancel: runner cancel", "cancel", run_id)
    after_s: dict[str, float] = {}
    with command.stdout.open("wb") as output:
        began = time.monotonic()
        process = subprocess.Popen(
            command.argv, cwd=command.cwd, env=command.environ, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        looks: dict[str, Callable[[], bool]] = {
            _JOB: lambda: not _left(hosts, of_job=True),
            _ALL: lambda: not _left(hosts, of_job=False),
            _COMMAND: lambda: process.poll() is not None,
        }
        try:
            while len(after_s) < len(looks):
                for what, has_ended in looks.items():
                    if what not in after_s and has_ended():
                        after_s[what] = time.monotonic() - began
                if time.monotonic() > began + _LIMIT_S:
                    left = _left(hosts, of_job=False)
                    raise CommandFailedError(f"{_LIMIT_S:g} s after runner cancel there are still {left[:4]}")
                time.sleep(_LOOK_S)
        finally:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise CommandFailedError(f"runner cancel: exit code {process.returncode}: {command.stdout.read_text()[-300:]}")
    return after_s


def _left(hosts: Hosts, *, of_job: bool) -> list[str]:
    """What still runs on the hosts as their login user; only of the job's own processes where that is asked."""
    spaces = {os.readlink(f"/proc/{host.running.pid}/ns/pid") for host in hosts.lab}
    uid = hosts.lab[0].lab_user.uid
    found = []
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            if entry.stat().st_uid != uid or os.readlink(f"{entry.path}/ns/pid") not in spaces:
                continue
            line = Path(entry.path, "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if line and (not of_job or _SCRIPT_NAME in line):  # A zombie has no command line.
            found.append(line)
    return found
