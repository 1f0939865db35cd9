"""How long after it was printed on a host a line is here, while 10 MB/s flow beside it from the same host.

Each line is the time at which it was printed: hosts of a lab and this machine share one clock.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.benchmarks.hosts import GO, LOOK_S, PYTHON, Hosts, size_of, standing, wait_until
from tests.benchmarks.report import Row, Section
from tests.benchmarks.stage import Stage
from tests.benchmarks.timing import CommandFailedError, take_turns

NAME = "ssh_latency"

_P50_LIMIT_MS = 50.0
_P99_LIMIT_MS = 250.0
_FLOW_MB_PER_S = 10
# Less of it, and the latency was measured beside a stream that this machine could not make.
_LEAST_FLOW_MB_PER_S = 9.0
_WATCHED_S = 20
_SMALL_WATCHED_S = 3
_END = b"end"
_END_LIMIT_S = 30.0
# Rank 0 prints 40 times a second, at uneven moments, so that it never keeps step with anybody's looking.
_SCRIPT = f"""
import os
import random
import sys
import time

os.write(1, b"ready\\n")
while not os.path.exists({GO!r}):
    time.sleep(0.001)
began = time.monotonic()
end = began + float(sys.argv[1])
if os.environ["RANK"] == "0":
    while time.monotonic() < end:
        time.sleep(random.uniform(0, 0.05))
        os.write(1, b"%d\\n" % time.time_ns())
    os.write(1, {_END!r} + b"\\n")
else:
    piece = (b"x" * 99 + b"\\n") * {_FLOW_MB_PER_S * 100}
    number = 0
    while time.monotonic() < end:
        os.write(1, piece)
        number += 1
        time.sleep(max(0, began + number / 100 - time.monotonic()))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Latencies:
    """Of one run: every line's delay, and how much flowed beside them."""

    delays_ms: list[float]
    flow_mb_per_s: float

    def percentile(self, share: float) -> float:
        """The delay that this share of the lines does not exceed."""
        ordered = sorted(self.delays_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def measure(stage: Stage) -> Section:
    """Lines into the run folder, against lines out of a plain ssh."""
    seconds = stage.size(_WATCHED_S, small=_SMALL_WATCHED_S)
    section = Section(name=NAME, title=f"a printed line is here, {_FLOW_MB_PER_S} MB/s beside it, over {seconds} s")
    with standing(stage, 1) as hosts:
        script = hosts.place(hosts.lab[0], "latency.py", _SCRIPT)
        samples = take_turns(
            {"ssh host": lambda: _plain(hosts, script, seconds), "runner": lambda: _run(hosts, seconds)},
            runs=stage.count(3),
        )
    for label, found in samples.items():
        is_ours = label == "runner"
        for name, share, limit in (("p50", 0.5, _P50_LIMIT_MS), ("p99", 0.99, _P99_LIMIT_MS), ("most", 1.0, None)):
            values = [one.percentile(share) for one in found]
            section.add(Row(what=f"{label}: {name}", values=values, unit="ms", limit=limit if is_ours else None))
        section.add(Row(what=f"{label}: flow beside it", values=[one.flow_mb_per_s for one in found], unit="MB/s"))
        section.notes.append(f"{label}: {sum(len(one.delays_ms) for one in found):,} lines")
    section.notes += [
        "runner: rank 0 prints, rank 1 floods; both logs in the run folder, the first looked at every millisecond",
        "ssh host: one ssh whose output is read through a pipe, and a second one that floods into a file",
    ]
    return section


def _run(hosts: Hosts, seconds: int) -> _Latencies:
    host = hosts.lab[0]
    hosts.hold(host)
    two = {"type": "PyTorch", "process_count": 2, "node_count": 1}
    run = hosts.submit(hosts.config("latency", _SCRIPT, arguments=[str(seconds)], distributed_job_config=two))
    lines, flow = run.driver_log(0), run.driver_log(1)
    wait_until(lambda: min(size_of(lines), size_of(flow)) > 0, "both ranks")
    with lines.open("rb", buffering=0) as stream:
        found = _watch(lambda: stream.read(1 << 16), hosts, seconds, flow)
    hosts.wait_end(run)
    shutil.rmtree(run.root)
    return found


def _plain(hosts: Hosts, script: str, seconds: int) -> _Latencies:
    host = hosts.lab[0]
    hosts.hold(host)
    flow = hosts.stage.scratch / "flow.received"
    with flow.open("wb") as target, _start(hosts, script, seconds, 0, subprocess.PIPE) as first:
        second = _start(hosts, script, seconds, 1, target)
        assert first.stdout is not None
        descriptor = first.stdout.fileno()
        wait_until(lambda: size_of(flow) > 0, "the second ssh")
        found = _watch(lambda: os.read(descriptor, 1 << 16), hosts, seconds, flow)
        second.wait()
    flow.unlink()
    return found


def _start(hosts: Hosts, script: str, seconds: int, rank: int, output: IO[bytes] | int) -> subprocess.Popen[bytes]:
    command = f"RANK={rank} timeout {seconds + _END_LIMIT_S:.0f} {PYTHON} {script} {seconds}"
    argv = hosts.lab.submitter.ssh_command(hosts.lab[0], command)
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, env=hosts.environ)


def _watch(read: Callable[[], bytes], hosts: Hosts, seconds: int, flow: Path) -> _Latencies:
    """Lets both scripts go, and takes the time of every line that `read` brings, until the last."""
    delays_ms: list[float] = []
    hosts.let_go(hosts.lab[0])
    began, rest = time.monotonic(), b""
    while True:
        content = read()
        now_ns = time.time_ns()
        if not content:
            if time.monotonic() > began + seconds + _END_LIMIT_S:
                raise CommandFailedError(f"{flow.name}: the last line has not come {_END_LIMIT_S:g} s after the end")
            time.sleep(LOOK_S)
            continue
        *lines, rest = (rest + content).split(b"\n")
        delays_ms += [(now_ns - int(line)) / 1e6 for line in lines if line.isdigit()]
        if _END in lines:
            break
    rate = size_of(flow) / (time.monotonic() - began) / 1e6
    if rate < _LEAST_FLOW_MB_PER_S:
        raise CommandFailedError(f"only {rate:.1f} MB/s flowed beside the lines, not {_FLOW_MB_PER_S}")
    return _Latencies(delays_ms=delays_ms, flow_mb_per_s=rate)
