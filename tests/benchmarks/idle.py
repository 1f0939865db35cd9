"""What the sidecar of a node uses while the script does nothing."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from sidecar.contract import publish
from tests.benchmarks import timing
from tests.benchmarks.report import Row, Section
from tests.benchmarks.stage import Stage

NAME = "idle"

_CPU_LIMIT_PERCENT = 1.0
_RESIDENT_LIMIT_MIB = 40.0
_WATCHED_S = 20.0
# The script must outlast the start, the settling and the watching.
_SCRIPT = f"""
import time

time.sleep({_WATCHED_S + 4:g})
"""
_SETTLE_S = 2.0
_START_LIMIT_S = 20.0
_MIB = 2**20
_ROLE = re.compile(r"-m (sidecar|runner) (supervisor|agent|process|controller)\b")


def measure(stage: Stage) -> Section:
    """One node, one process that sleeps."""
    section = Section(name=NAME, title=f"sidecar of one node while its script sleeps, over {_WATCHED_S:g} s")
    script = stage.write("idle", "idle.py", _SCRIPT)
    config = stage.config("idle", script.name)
    timing.start_and_wait(stage.runner("idle: submit", "submit", str(config)))
    try:
        (folder,) = [path for path in stage.workspace.runs.iterdir() if path.name.startswith("idle_")]
        _wait_for_start(stage.workspace.run(folder.name).process_status)
        time.sleep(_SETTLE_S)
        _add_figures(section, _processes_of(folder.name))
    finally:
        timing.drain()
    section.notes += [
        "resident = RSS; `process` is the script's wrapper, a fork of the supervisor: its RSS counts the supervisor's"
        " pages again, so with it the limit is held against PSS, which divides shared pages among their users",
        "the controller runs on the submitting machine, one a run; it is no part of a node",
    ]
    return section


def _wait_for_start(status: Path) -> None:
    limit = time.monotonic() + _START_LIMIT_S
    while not publish.read_records(status):
        if time.monotonic() > limit:
            raise timing.CommandFailedError(f"no process of the run started within {_START_LIMIT_S:g} s")
        time.sleep(0.05)


def _processes_of(run_id: str) -> dict[str, list[psutil.Process]]:
    """The run's own processes by role: supervisor, agent, process (the script's wrapper), controller."""
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.Process().children(recursive=True):
        line = " ".join(process.cmdline())
        role = _ROLE.search(line)
        if role and run_id[:12] in line:
            found.setdefault(role[2], []).append(process)
    missing = {"supervisor", "agent", "controller"} - set(found)
    if missing:
        raise timing.CommandFailedError(f"no {', '.join(sorted(missing))} to be found")
    return found


def _add_figures(section: Section, found: dict[str, list[psutil.Process]]) -> None:
    before = {role: cpu_s(processes) for role, processes in found.items()}
    began = time.monotonic()
    time.sleep(_WATCHED_S)
    elapsed = time.monotonic() - began
    percent = {role: (cpu_s(processes) - before[role]) / elapsed * 100 for role, processes in found.items()}
    node = [role for role in found if role != "controller"]
    for role, processes in found.items():
        rss, pss = memory_mib(processes)
        section.add(Row(what=f"{role}: CPU of a core", values=[percent[role]], unit="%"))
        section.add(Row(what=f"{role}: resident", values=[rss], unit="MiB"))
        section.add(Row(what=f"{role}: PSS", values=[pss], unit="MiB"))
    together, total = " + ".join(node), sum(percent[role] for role in node)
    section.add(Row(what=f"{together}: CPU of a core", values=[total], unit="%", limit=_CPU_LIMIT_PERCENT))
    rss, pss = memory_mib([process for role in node for process in found[role]])
    section.add(Row(what=f"{together}: resident", values=[rss], unit="MiB"))
    section.add(Row(what=f"{together}: PSS", values=[pss], unit="MiB", limit=_RESIDENT_LIMIT_MIB))
    rss, _ = memory_mib([*found["agent"], *found["supervisor"]])
    section.add(Row(what="agent + supervisor: resident", values=[rss], unit="MiB", limit=_RESIDENT_LIMIT_MIB))


def cpu_s(processes: Sequence[psutil.Process]) -> float:
    """CPU seconds so far, in nanosecond steps: in clock ticks, 20 idle seconds show as nothing."""
    return sum(_thread_cpu_s(process.pid) for process in processes)


def _thread_cpu_s(pid: int) -> float:
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def memory_mib(processes: Sequence[psutil.Process]) -> tuple[float, float]:
    """(RSS, PSS) of all of them together."""
    found = [process.memory_full_info() for process in processes]
    return sum(entry.rss for entry in found) / _MIB, sum(entry.pss for entry in found) / _MIB
