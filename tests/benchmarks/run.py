"""`python -m tests.benchmarks.run`: measures, prints a table, writes JSON beside it; exit code 1 for a missed limit."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests import groups
from tests.benchmarks import (
    docker_first_line,
    history_list,
    idle,
    metrics,
    mpi,
    output,
    report,
    ssh_cancel,
    ssh_fan_out,
    ssh_first_line,
    ssh_flood,
    ssh_idle,
    ssh_image,
    ssh_latency,
    ssh_metrics,
    startup,
    timing,
)
from tests.benchmarks.report import Section
from tests.benchmarks.stage import Stage

_OVER_SSH: Mapping[str, Callable[[Stage], Section]] = {
    benchmark.NAME: benchmark.measure
    for benchmark in (ssh_flood, ssh_latency, ssh_fan_out, ssh_first_line, ssh_cancel, ssh_idle, ssh_metrics, ssh_image)
}
_BENCHMARKS: Mapping[str, Callable[[Stage], Section]] = {
    benchmark.NAME: benchmark.measure
    for benchmark in (startup, mpi, output, idle, history_list, metrics, docker_first_line)
} | dict(_OVER_SSH)

_IN_DOCKER = (docker_first_line.NAME, ssh_image.NAME)

# A load average from before the first command. Smaller warns of the build that has just ended, larger warns too late.
_BUSY_LOAD = 0.7


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the benchmarks that were asked for, or all."""
    asked = _parse(arguments)
    about = report.machine()
    path = asked.json or report.default_path(about)
    print(", ".join(f"{key} {value}" for key, value in about.items()), flush=True)
    if os.getloadavg()[0] > _BUSY_LOAD:
        print("WARNING: this machine is busy with other work; times below are too long, and ratios can be off")
    if asked.small:
        print("WARNING: small sizes; the figures only show that the benchmarks work")
    timing.become_reaper()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended below
    sections: list[Section] = []
    scratch = Path(tempfile.mkdtemp(prefix="scriptrun-bench-"))
    stage = Stage(scratch=scratch, runs=asked.runs, is_small=asked.small)
    try:
        for name in asked.only or _BENCHMARKS:
            sections.append(_measure(name, stage))
            print("\n" + sections[-1].text(), flush=True)
            report.write_json(path, about, stage.versions, sections)
    finally:
        timing.end_descendants()
        shutil.rmtree(scratch, ignore_errors=True)
    print("peers: " + (", ".join(f"{name} {version}" for name, version in stage.versions.items()) or "none"))
    print(f"figures: {path}")
    return _conclude(sections)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.run", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(_BENCHMARKS), metavar="NAME", help=", ".join(_BENCHMARKS))
    parser.add_argument("--runs", type=int, metavar="N", help="how often each command is measured")
    parser.add_argument("--small", action="store_true", help="sizes that only show that the benchmarks over ssh work")
    parser.add_argument("--json", type=Path, metavar="PATH", help="default: a new file in build/bench")
    asked = parser.parse_args(arguments)
    if asked.runs is not None and asked.runs < 1:
        parser.error("--runs must be at least 1")
    return asked


def _measure(name: str, stage: Stage) -> Section:
    """One benchmark; one that breaks is a missed limit, and the others still run."""
    needed = [*(["lab"] if name in _OVER_SSH else []), *(["docker"] if name in _IN_DOCKER else [])]
    why = next((why for group in needed if (why := groups.obstacle(group)) is not None), None)
    if why is not None:
        return Section(name=name, title="NOT MEASURED", notes=[f"SKIPPED: nothing to measure on: {why}"])
    try:
        return _BENCHMARKS[name](stage)
    except (timing.CommandFailedError, OSError) as error:
        timing.end_descendants()
        return Section(name=name, title="FAILED", notes=[f"FAIL: {error}"])


def _conclude(sections: Sequence[Section]) -> int:
    missed = [f"{section.name}: {row.what}" for section in sections for row in section.rows if row.verdict == "FAIL"]
    missed += [f"{section.name}: {note}" for section in sections for note in section.notes if note.startswith("FAIL")]
    for section in sections:
        for note in section.notes:
            if note.startswith("SKIPPED"):
                print(f"NOT MEASURED: {section.name}: {note}")
    for line in missed:
        print(f"limit missed: {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
