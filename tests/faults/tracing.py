"""Kills, or fails, one process of a run at its N-th system call: by strace, and a stand-in for the interpreter."""

from __future__ import annotations

import os
import random
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from runner import wiring
from sidecar.contract import settings
from tests.faults.lab import Victim

# What changes the disk or the set of processes: between two of these, one moment is like the other.
CHANGING = (
    "openat,write,pwrite64,?rename,?renameat,?renameat2,?link,linkat,?unlink,unlinkat,?mkdir,mkdirat,?rmdir,?mknod,"
    "mknodat,?symlink,symlinkat,fsync,ftruncate,flock,?fork,?vfork,clone,?clone3,execve,kill,close"
)
KILL = "signal=SIGKILL"
_STAND_IN = """#!/bin/sh
# Stands in for the interpreter of the runner's background processes; the first `{part}` is traced.
case " $* " in
*" -m {part} "*)
    if mkdir {once} 2>/dev/null; then
        exec strace -o {log} -e trace={calls} {inject} {python} -c {code} "$@"
    fi
    exec {python} -c {code} "$@" ;;
*" -m runner "* | *" -m sidecar "*) exec {python} -c {code} "$@" ;;
*) exec {python} "$@" ;;
esac
"""
# Goes on as the module that was asked for, with children that meet the stand-in again.
_CODE = """
import runpy, sys
sys.executable = {stand_in!r}
start = sys.argv.index("-m") + 1
module, sys.argv = sys.argv[start], sys.argv[start:]
sys.path.insert(0, {bundle!r})
if module == "sidecar" and sys.argv[1:2] == ["agent"]:
    # A supervisor that the agent forks meets no stand-in: let it be started as it is when one has died.
    from sidecar import agent
    def start(plan, layout):
        process = agent.start_supervisor(plan, layout)
        process.returncode = 0
        return process.pid
    agent.fork_supervisor = start
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


class Moment(NamedTuple):
    """The `when`-th call of the name `call` that a process makes; strace counts every name for itself."""

    call: str
    when: int

    def __str__(self) -> str:
        return f"{self.call}-{self.when}"


def command(log: Path, *, calls: str = CHANGING, fault: str | None = None, at: Moment | None = None) -> list[str]:
    """What stands in front of a command so that it meets `fault` at one moment, and is written down call by call."""
    inject = [] if at is None else ["-e", f"inject={at.call}:{fault}:when={at.when}"]
    return ["strace", "-o", str(log), "-e", f"trace={calls}", *inject]


def lines(log: Path) -> list[str]:
    """One line a call."""
    return [line for line in log.read_text(errors="replace").splitlines() if line[:3] not in ("+++", "---")]


def moments(log: Path, chance: random.Random, count: int, *, after: str = "") -> list[Moment]:
    """`count` moments of a counted run, spread over all of it from where it first named `after`."""
    seen: Counter[str] = Counter()
    found = []
    for line in lines(log):
        call = line.partition("(")[0]
        seen[call] += 1
        if found or after in line:
            found.append(Moment(call, seen[call]))
    count = min(count, len(found))
    width = len(found) // count
    return [found[step * width + chance.randrange(width)] for step in range(count)]


def lead(
    victim: Victim, part: str, log: Path, *, calls: str = CHANGING, fault: str | None = None, at: Moment | None = None
) -> None:
    """Leads a run that has no controller, up to the end of the controller; the first `part` of it is traced.

    `part` is `runner controller`, `sidecar agent` or `sidecar supervisor`.
    """
    stand_in = log.with_suffix(".sh")
    code = _CODE.format(stand_in=str(stand_in), bundle=str(wiring.bundle_folder()))
    inject = "" if at is None else f"-e inject={at.call}:{fault}:when={at.when}"
    stand_in.write_text(
        _STAND_IN.format(
            part=part,
            once=shlex.quote(str(log.with_suffix(".once"))),
            log=shlex.quote(str(log)),
            calls=shlex.quote(calls),
            inject=inject,
            python=shlex.quote(sys.executable),
            code=shlex.quote(code),
        )
    )
    stand_in.chmod(0o700)
    subprocess.run(
        [stand_in, "-m", "runner", "controller", victim.run_id],
        cwd=wiring.bundle_folder(),
        env={**os.environ, settings.WORKSPACE: str(victim.workspace.root)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=60,
    )
