"""From submit to the first line of rank 0 on 2 hosts, against a bare `mpiexec` that reaches the other host by ssh."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.hosts import HOME, Hosts, standing
from tests.benchmarks.report import Row, Section
from tests.benchmarks.stage import Stage
from tests.benchmarks.timing import CommandFailedError, deadline, differences, ratios, take_turns
from tests.lab.command import LabError
from tests.lab.job_python import lab_python

NAME = "ssh_first_line"

_LIMIT_S = 2.0
_TIMEOUT_S = 60.0
_FIRST_LINE = "rank 0 of 2: 1"
_SCRIPT = """
from mpi4py import MPI

world = MPI.COMM_WORLD
print(f"rank {world.rank} of {world.size}: {world.allreduce(world.rank)}", flush=True)
"""
_PEER = "ssh lab1 mpiexec -launcher ssh"
_OURS = "runner submit --show-output"


def measure(stage: Stage) -> Section:
    """MPICH, one rank a host."""
    section = Section(name=NAME, title="submit to first line of rank 0, MPICH, 1 rank on each of 2 hosts, warm")
    try:
        python = lab_python("mpich")  # Before the hosts: they show what is there when they are switched on.
    except LabError as error:
        section.notes.append(f"SKIPPED: no MPICH for the hosts: {error}")
        return section
    with standing(stage, 2) as hosts:
        keys = _Keys(hosts)
        samples = take_turns(
            {_PEER: lambda: _bare(hosts, python, keys), _OURS: lambda: _run(hosts, python)}, runs=stage.count(9)
        )
    for label, found in samples.items():
        limit = _LIMIT_S if label == _OURS else None
        section.add(Row(what=f"{label}: to the first line", values=[line for line, _ in found], limit=limit))
        section.add(Row(what=f"{label}: to the end", values=[whole for _, whole in found]))
    theirs, ours = ([line for line, _ in found] for found in samples.values())
    section.add(Row(what="first line: runner / mpiexec, pair by pair", values=ratios(ours, theirs), unit="x"))
    section.add(Row(what="first line: runner minus mpiexec, pair by pair", values=differences(ours, theirs)))
    section.notes += [
        "both: from the start of the command on this machine until the line comes out of its standard output",
        "for mpiexec the hosts hold a key for each other while it runs; runner needs none, and has none",
    ]
    return section


class _Keys:
    """What lets the hosts log in to each other; only there while the peer runs."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts = hosts

    def __enter__(self) -> None:
        submitter = self._hosts.lab.submitter
        for host in self._hosts.lab:
            folder = self._hosts.lab.homes(host) / "lab" / ".ssh"
            folder.mkdir(mode=0o700)
            for path in (submitter.identity_file, submitter.known_hosts):
                shutil.copy(path, folder / path.name)
            for path in (folder, *folder.iterdir()):
                os.chown(path, host.lab_user.uid, host.lab_user.uid)

    def __exit__(self, *_: object) -> None:
        for host in self._hosts.lab:
            shutil.rmtree(self._hosts.lab.homes(host) / "lab" / ".ssh")


def _bare(hosts: Hosts, python: Path, keys: _Keys) -> tuple[float, float]:
    for host in hosts.lab:
        hosts.place(host, "first.py", _SCRIPT)
    names = ",".join(host.name for host in hosts.lab)
    launch = [str(python.with_name("mpiexec")), "-launcher", "ssh", "-hosts", names, "-ppn", "1", "-n", "2"]
    argv = hosts.lab.submitter.ssh_command(hosts.lab[0], *launch, str(python), f"{HOME}/first.py")
    with keys:
        first_s, whole_s, _ = _time(hosts, argv)
    return first_s, whole_s


def _run(hosts: Hosts, python: Path) -> tuple[float, float]:
    shape = {"type": "Mpi", "process_count_per_node": 1, "node_count": 2}
    config = hosts.config("first-line", _SCRIPT, python=python, distributed_job_config=shape)
    command = hosts.command("first-line: runner submit", "submit", str(config), "--show-output")
    first_s, whole_s, printed = _time(hosts, command.argv, cwd=command.cwd)
    run = hosts.run_named_in(printed)
    hosts.wait_end(run)
    shutil.rmtree(run.root)
    return first_s, whole_s


def _time(hosts: Hosts, argv: Sequence[str], cwd: Path | None = None) -> tuple[float, float, str]:
    """(seconds to the first line of rank 0, seconds to the end, everything printed)."""
    errors = hosts.stage.scratch / "first-line.err"
    printed: list[str] = []
    first_s: float | None = None
    with errors.open("w") as err:
        began = time.monotonic()
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
            env=hosts.environ,
            start_new_session=True,
        )
        with process, deadline(process.pid, _TIMEOUT_S):
            assert process.stdout is not None
            for line in process.stdout:
                printed.append(line)
                if first_s is None and _FIRST_LINE in line:
                    first_s = time.monotonic() - began
        whole_s = time.monotonic() - began
    if process.returncode != 0 or first_s is None:
        said = errors.read_text().strip()[-300:]
        raise CommandFailedError(f"{argv[0]}: exit code {process.returncode}: {''.join(printed)[-300:]} {said}")
    return first_s, whole_s, "".join(printed)
