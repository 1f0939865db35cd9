"""What the agent on a host uses while the script of its run sleeps."""

from __future__ import annotations

import shutil
import time

import psutil

from runner.history.status import RunStatus
from tests.benchmarks import timing
from tests.benchmarks.hosts import Hosts, standing, wait_until
from tests.benchmarks.idle import cpu_s, memory_mib
from tests.benchmarks.report import Row, Section
from tests.benchmarks.stage import Stage

NAME = "ssh_idle"

_CPU_LIMIT_PERCENT = 0.5
_RESIDENT_LIMIT_MIB = 25.0
_WATCHED_S = 40
_SMALL_WATCHED_S = 5
_SETTLE_S = 3.0
_SCRIPT = """
import time

print("up", flush=True)
time.sleep(600)
"""
_ROLES = ("agent", "supervisor")


def measure(stage: Stage) -> Section:
    """One host, one process that sleeps; agent, supervisor and sshd's end of the session apart."""
    watched_s = stage.size(_WATCHED_S, small=_SMALL_WATCHED_S)
    section = Section(name=NAME, title=f"agent on one host while its script sleeps, over {watched_s} s")
    with standing(stage, 1) as hosts:
        run = hosts.submit(hosts.config("idle-ssh", _SCRIPT))
        log = run.driver_log(None)
        wait_until(lambda: log.exists() and b"up" in log.read_bytes(), "the script's first line")
        time.sleep(_SETTLE_S)
        _add_figures(section, _processes(hosts), watched_s)
        timing.start_and_wait(hosts.command("idle-ssh: runner cancel", "cancel", run.root.name))
        hosts.wait_end(run, RunStatus.CANCELED)
        shutil.rmtree(run.root)
    section.notes += [
        "resident = RSS, shared pages of Python included; the controller pings the agent every two seconds meanwhile",
        "sshd: the end of the session that belongs to the login user; it encrypts what the agent says",
    ]
    return section


def _processes(hosts: Hosts) -> dict[str, psutil.Process]:
    """The user's processes on the host by what they are."""
    host = hosts.lab[0]
    found = {}
    for process in host.all_processes():
        if process.uid != host.lab_user.uid:
            continue
        words = process.argv[process.argv.index("sidecar") + 1 :] if "sidecar" in process.argv else []
        role = words[0] if words else "sshd" if process.comm.startswith("sshd") else None
        if role is not None:
            found[role] = psutil.Process(process.outer_pid)
    missing = set(_ROLES) - set(found)
    if missing:
        raise timing.CommandFailedError(f"no {', '.join(sorted(missing))} on {host.name}")
    return found


def _add_figures(section: Section, found: dict[str, psutil.Process], watched_s: int) -> None:
    before = {role: cpu_s([process]) for role, process in found.items()}
    began = time.monotonic()
    time.sleep(watched_s)
    elapsed_s = time.monotonic() - began
    for role, process in found.items():
        is_judged = role == "agent"
        percent = (cpu_s([process]) - before[role]) / elapsed_s * 100
        rss, pss = memory_mib([process])
        limit = _CPU_LIMIT_PERCENT if is_judged else None
        section.add(Row(what=f"{role}: CPU of a core", values=[percent], unit="%", limit=limit))
        limit = _RESIDENT_LIMIT_MIB if is_judged else None
        section.add(Row(what=f"{role}: resident", values=[rss], unit="MiB", limit=limit))
        section.add(Row(what=f"{role}: PSS", values=[pss], unit="MiB"))
