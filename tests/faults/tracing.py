"""Kills, or fails, one process of a run at its N-th system call: by strace, and a stand-in for the interpreter."""

from __future__ import annotations

import os
import random
import shlex
import subprocess
import sys
from pathlib import Path

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
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


def command(log: Path, *, calls: str = CHANGING, fault: str | None = None, when: str | int = 1) -> list[str]:
    """What stands in front of a command so that its `when`-th call among `calls` meets `fault`."""
    inject = [] if fault is None else ["-e", f"inject={calls}:{fault}:when={when}"]
    return ["strace", "-o", str(log), "-e", f"trace={calls}", *inject]


def lines(log: Path) -> list[str]:
    """One line a call."""
    return [line for line in log.read_text(errors="replace").splitlines() if line[:3] not in ("+++", "---")]


def moments(log: Path, chance: random.Random, count: int, *, after: str) -> list[int]:
    """`count` numbers of calls that a counted run made after it first named `after`, spread over all of them."""
    first = next(number for number, line in enumerate(lines(log), 1) if after in line)
    return spread(log, chance, count, first=first)


def spread(log: Path, chance: random.Random, count: int, *, first: int = 1) -> list[int]:
    """`count` numbers of calls that a counted run made from its `first` on, spread over all of them."""
    total = len(lines(log)) - first + 1
    count = min(count, total)
    width = total // count
    return [first + step * width + chance.randrange(width) for step in range(count)]


def lead(
    victim: Victim, part: str, log: Path, *, calls: str = CHANGING, fault: str | None = None, when: str | int = 1
) -> None:
    """Leads a run that has no controller, up to the end of the controller; the first `part` of it is traced.

    `part` is `runner controller`, `sidecar agent` or `sidecar supervisor`.
    """
    stand_in = log.with_suffix(".sh")
    code = _CODE.format(stand_in=str(stand_in), bundle=str(wiring.bundle_folder()))
    inject = "" if fault is None else f"-e inject={calls}:{fault}:when={when}"
    stand_in.write_text(
        _STAND_IN.format(
            part=part,
            once=shlex.quote(str(log.with_suffix(".once"))),
            log=shlex.quote(str(log)),
            calls=shlex.quote(calls),
            inject=inject.replace("?", "\\?"),
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
