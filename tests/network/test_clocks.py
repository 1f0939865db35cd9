"""Hosts whose clocks are wrong: F20. A small library in front of libc moves what every program there calls now."""

from __future__ import annotations

import shutil
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from tests.faults.lab import wait_until
from tests.lab.laboratory import Laboratory
from tests.lab.options import HostOptions
from tests.network.invariants import checked
from tests.network.stage import Stage

pytestmark = [
    pytest.mark.lab(hosts=[HostOptions(), HostOptions(bashrc="[ -e ~/skew.so ] && export LD_PRELOAD=~/skew.so\n")]),
    pytest.mark.timeout(240),
]
_SKEW = r"""
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long skew(void) {
    long seconds = 0;
    FILE *file = fopen("/home/lab/skew", "r");
    if (file) { if (fscanf(file, "%ld", &seconds) != 1) seconds = 0; fclose(file); }
    return seconds;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && clock == CLOCK_REALTIME) now->tv_sec += skew();
    return result;
}
int gettimeofday(struct timeval *now, void *zone) {
    struct timespec exact;
    int result = clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec; now->tv_usec = exact.tv_nsec / 1000;
    return result;
}
time_t time(time_t *now) {
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (now) *now = exact.tv_sec;
    return exact.tv_sec;
}
"""


@pytest.fixture
def skewed(lab: Laboratory, tmp_path: Path) -> Path:
    """The file in which the seconds stand that lab2's clock is ahead."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler, which the moved clock is made with (apt install gcc)")
    (tmp_path / "skew.c").write_text(_SKEW)
    library = tmp_path / "skew.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, tmp_path / "skew.c"], check=True)
    shutil.copy(library, lab["lab2"].path("/home/lab/skew.so"))
    return lab["lab2"].path("/home/lab/skew")


@pytest.mark.parametrize("ahead_s", [-3600, pytest.param(3600, marks=pytest.mark.chaos)])
def test_the_first_failure_by_one_clock(skewed: Path, stage: Stage, ahead_s: int) -> None:
    """Rank 0 fails a second before rank 1, whose host's clock is an hour off: rank 0 is named, and the clock told."""
    skewed.write_text(f"{ahead_s}\n")
    source = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
say(b"%d" % time.time())
while not may_end(): time.sleep(0.01)
if os.environ["RANK"] == "1": time.sleep(1)
raise ValueError("rank " + os.environ["RANK"])
"""
    run = stage.submit(source, nodes=2, grace_s=10.0)
    clock = run.run.state / "nodes" / "lab2.clock.json"
    wait_until(clock.exists, what="a measured clock")
    here, there = (run.run.driver_log(index) for index in (0, 1))
    wait_until(lambda: here.exists() and there.exists() and here.stat().st_size * there.stat().st_size > 0, what="logs")
    assert abs(int(there.read_bytes()) - int(here.read_bytes()) - ahead_s) < 10
    run.release()
    run.wait_end()
    record = checked(run, "Failed", started=2)
    assert record.failure is not None
    assert record.failure["summary"].startswith("rank_0 on lab1 failed first: ValueError: rank 0")
    assert abs(record.failure["clock_offsets_ms"]["lab2"] - ahead_s * 1000) < 1000
    assert record.start_time_utc is not None
    assert record.end_time_utc is not None
    took = datetime.fromisoformat(record.end_time_utc) - datetime.fromisoformat(record.start_time_utc)
    assert 0 < took.total_seconds() < 60


@pytest.mark.chaos
def test_a_clock_that_jumps_while_a_run_is_limited(skewed: Path, stage: Stage) -> None:
    """An hour forwards, then back: neither ends the run before its limit, nor keeps it beyond."""
    source = "import time\nbegan = time.monotonic()\nwhile True:\n"
    source += "    say(b'%.1f ' % (time.monotonic() - began)); time.sleep(0.05)\n"
    run = stage.submit(source, nodes=2, max_run_duration_seconds=6)
    run.grown(1)
    for seconds in (3600, -3600, 0):
        skewed.write_text(f"{seconds}\n")
        run.grown(1)
    run.wait_end()
    record = checked(run, "Failed", started=2)
    assert record.failure is not None
    assert "max_run_duration_seconds" in record.failure["summary"]
    assert 5 < float(run.run.driver_log(1).read_bytes().split()[-1]) < 9
