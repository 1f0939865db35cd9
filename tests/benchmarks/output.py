"""What it costs a rank to be logged: 1 GB from one rank, 250 MB from each of four, against a plain redirect.

A rank's own time is what process_status.json says: from Started to Completed. For several ranks, from the first
Started to the last Completed. The plain redirect is timed from outside, its interpreter's start included.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sidecar.contract import publish
from sidecar.contract.layout import RunLayout
from tests.benchmarks.peers import Peer
from tests.benchmarks.report import Row, Section
from tests.benchmarks.stage import Stage
from tests.benchmarks.timing import Command, CommandFailedError, Sample, interleave, ratios

NAME = "output"

_LIMIT_RATIO = 1.05
_MB = 1_000_000
_TIMEOUT_S = 180.0
_READ_BYTES = 1 << 20

# Ordinary prints; the number in front makes a lost, doubled or torn line visible. Arguments: MB, bytes a line, a
# folder for the CPU time used, rank. CPU time tells a rank that was slowed from one whose machine was busy.
_SCRIPT = """
import os
import sys
import time

size, line = int(sys.argv[1]) * 1_000_000, int(sys.argv[2])
rank = int(os.environ.get("PMI_RANK", "0")) if len(sys.argv) < 5 else int(sys.argv[4])
rest = chr(ord("a") + rank) * (line - 15)
for number in range(size // line):
    print(f"{rank:02d} {number:010d} {rest}")
sys.stdout.flush()
with open(f"{sys.argv[3]}/flood-cpu-{rank}", "w") as stream:
    stream.write(str(time.process_time()))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flood:
    """What is printed: `ranks` processes, `megabytes` each, in lines of `line` bytes."""

    ranks: int
    megabytes: int
    line: int
    cpu_folder: Path

    @property
    def title(self) -> str:
        return f"{self.ranks} x {self.megabytes} MB, {self.line}-byte lines"

    @property
    def arguments(self) -> list[str]:
        return [str(self.megabytes), str(self.line), str(self.cpu_folder)]

    def read_cpu_s(self) -> float:
        """What the ranks of the last run used, together."""
        return sum(float((self.cpu_folder / f"flood-cpu-{rank}").read_text()) for rank in range(self.ranks))


@dataclass(slots=True, kw_only=True)
class _Ranks:
    """What the ranks of each run took by themselves, and logs that differ from a redirect's."""

    cpu_s: list[float] = field(default_factory=list)
    wall_s: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def measure(stage: Stage) -> Section:
    """Both sizes in both line lengths."""
    section = Section(name=NAME, title="floods of ordinary prints; run folder compared by sha256")
    script = stage.write("flood", "flood.py", _SCRIPT)
    mpich = stage.peer("mpich", section)
    for line in (100, 1024):
        _measure_flood(
            stage, section, script, None, _Flood(ranks=1, megabytes=1000, line=line, cpu_folder=stage.scratch)
        )
        if not mpich.problem:
            _measure_flood(
                stage, section, script, mpich, _Flood(ranks=4, megabytes=250, line=line, cpu_folder=stage.scratch)
            )
    section.notes += [
        "ratio = the ranks' own time under runner over the whole time of the redirect, pair by pair",
        "before each command the disk is waited for, so that none pays for what another has written",
        "`runner submit` returns at once: its whole time is until its last background process has ended,"
        " the checking of every byte included",
        "`runner --show-output` prints every byte a second time, into a file, while the ranks run",
    ]
    return section


def _measure_flood(stage: Stage, section: Section, script: Path, mpich: Peer | None, flood: _Flood) -> None:
    expected = _write_expected(stage, script, flood)
    submitted, shown = _Ranks(), _Ranks()
    redirected = _Ranks()
    redirect = _redirect(stage, script, flood, redirected)
    commands = [
        redirect,
        _runner(stage, script, mpich, flood, submitted, expected),
        _runner(stage, script, mpich, flood, shown, expected, "--show-output"),
    ]
    forwarded = _forwarded(stage, script, mpich, flood) if mpich else None
    samples = interleave([*commands, forwarded] if forwarded else commands, runs=stage.count(3), warm_ups=0)
    plain = samples.wall_s(redirect.label)
    section.add(Row(what=redirect.label, values=plain, cpu_s=samples.cpu_s(redirect.label)))
    for command, ranks, limit in zip(commands[1:], (submitted, shown), (_LIMIT_RATIO, None), strict=True):
        used = ratios(ranks.cpu_s, redirected.cpu_s)
        section.add(Row(what=f"{command.label}: ratio of the ranks' own CPU", values=used, unit="x"))
        whole = [sample.wall_s + sample.outlived_s for sample in samples.by_label[command.label]]
        section.add(Row(what=f"{command.label}: ranks' own time", values=ranks.wall_s))
        section.add(Row(what=f"{command.label}: ratio", values=ratios(ranks.wall_s, plain), unit="x", limit=limit))
        section.add(Row(what=f"{command.label}: whole", values=whole, cpu_s=samples.cpu_s(command.label)))
    if forwarded:
        values = samples.wall_s(forwarded.label)
        section.add(Row(what=forwarded.label, values=values, cpu_s=samples.cpu_s(forwarded.label)))
        _add_torn(section, forwarded, flood)
    _add_identity(section, flood, [*submitted.wrong, *shown.wrong], run_count=2 * len(plain))


def _write_expected(stage: Stage, script: Path, flood: _Flood) -> list[str]:
    """The sha256 of what each rank prints, from a plain redirect of each."""
    found = []
    for rank in range(flood.ranks):
        target = stage.scratch / "flood-expected.txt"
        line = shlex.join([stage.python, str(script), *flood.arguments, str(rank)])
        command = stage.command("flood: expected", "/bin/sh", "-c", f"{line} > {shlex.quote(str(target))}")
        interleave([command], runs=1, warm_ups=0)
        found.append(sha256_of(target))
        target.unlink()
    return found


def _redirect(stage: Stage, script: Path, flood: _Flood, ranks: _Ranks) -> Command:
    targets = [stage.scratch / f"flood-{rank}.txt" for rank in range(flood.ranks)]
    lines = [
        f"{shlex.join([stage.python, str(script), *flood.arguments, str(rank)])} > {shlex.quote(str(target))}"
        for rank, target in enumerate(targets)
    ]
    text = f"exec {lines[0]}" if len(lines) == 1 else " & ".join(lines) + " & wait"

    def collect(_: Sample) -> None:
        ranks.cpu_s.append(flood.read_cpu_s())
        for target in targets:
            target.unlink()

    label = f"{flood.title}: python > file" + (f", {flood.ranks} at once" if flood.ranks > 1 else "")
    return stage.command(
        label,
        "/bin/sh",
        "-c",
        text,
        timeout_s=_TIMEOUT_S,
        before=os.sync,
        after=collect,
    )


def _runner(
    stage: Stage, script: Path, mpich: Peer | None, flood: _Flood, ranks: _Ranks, expected: Sequence[str], *options: str
) -> Command:
    keys = {} if mpich is None else {"distributed_job_config": {"type": "Mpi", "process_count_per_node": flood.ranks}}
    python = None if mpich is None else mpich.python
    config = stage.config("flood", script.name, python=python, arguments=flood.arguments, **keys)
    own = config.rename(config.with_name(f"flood-{flood.ranks}-{flood.line}.yml"))
    return stage.runner(
        " ".join([f"{flood.title}: runner submit", *options]),
        *("submit", str(own), *options),
        timeout_s=_TIMEOUT_S,
        before=os.sync,
        after=_collector(stage, flood, ranks, expected),
    )


def _collector(stage: Stage, flood: _Flood, ranks: _Ranks, expected: Sequence[str]) -> Callable[[Sample], None]:
    def collect(_: Sample) -> None:
        folder = max(stage.workspace.runs.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        layout = RunLayout(folder)
        ranks.cpu_s.append(flood.read_cpu_s())
        ranks.wall_s.append(_own_wall_s(layout, flood.ranks))
        for rank, sha256 in enumerate(expected):
            log = layout.driver_log(None if flood.ranks == 1 else rank)
            if sha256_of(log) != sha256:
                ranks.wrong.append(f"{log.name} of {folder.name} ({log.stat().st_size:,} bytes)")
        shutil.rmtree(folder)

    return collect


def _own_wall_s(layout: RunLayout, count: int) -> float:
    """From the first Started to the last Completed of `count` ranks."""
    times: dict[str, list[int]] = {"Started": [], "Completed": []}
    for record in publish.read_records(layout.process_status):
        if record["process_name"] != "*" and record["status"] in times:
            times[record["status"]].append(_nanoseconds(record["timestamp"]))
    if [len(found) for found in times.values()] != [count, count]:
        raise CommandFailedError(f"{layout.process_status} names {times} instead of {count} completed ranks")
    return (max(times["Completed"]) - min(times["Started"])) / 1e9


def _nanoseconds(text: str) -> int:
    """`2026-11-20T22:30:10.764428389Z`; datetime knows only microseconds."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = datetime.fromisoformat(f"{whole}+00:00").timestamp()
    return int(seconds) * 1_000_000_000 + int(fraction.ljust(9, "0"))


def _forwarded(stage: Stage, script: Path, mpich: Peer, flood: _Flood) -> Command:
    argv = (mpich.program("mpiexec"), "-n", str(flood.ranks), mpich.python, str(script), *flood.arguments)
    label = f"{flood.title}: mpiexec -n {flood.ranks} > file"
    return stage.command(label, *argv, environ=stage.environ(python=mpich.python), timeout_s=_TIMEOUT_S, before=os.sync)


def _add_torn(section: Section, forwarded: Command, flood: _Flood) -> None:
    """Counts the lines of the merged file that mix two ranks; then removes it."""
    tails = {
        f"{rank:02d}".encode(): f"{chr(ord('a') + rank) * (flood.line - 15)}\n".encode() for rank in range(flood.ranks)
    }
    with forwarded.stdout.open("rb") as stream:
        torn = sum(tails.get(line[:2]) != line[14:] for line in stream)
    section.notes.append(f"{forwarded.label}: {torn:,} torn lines in the merged file of the last run")
    forwarded.stdout.unlink()


def _add_identity(section: Section, flood: _Flood, wrong: list[str], *, run_count: int) -> None:
    if wrong:
        section.notes.append(f"FAIL: {flood.title}: not the bytes of the redirect: {', '.join(wrong[:4])}")
    else:
        section.notes.append(f"{flood.title}: every log byte-identical to the redirect's in {run_count} runs")


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
