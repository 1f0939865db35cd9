"""Runs commands in turn (A B A B ...) and measures the wall time and the CPU of everything that they start.

The benchmark makes itself the reaper of orphans, so that a command's background processes are waited for too: their
CPU time is counted, and the next command starts on a quiet machine.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

_PR_SET_CHILD_SUBREAPER = 36
# How long a command's background processes may outlive it before they are ended.
_DRAIN_LIMIT_S = 60.0
_DRAIN_POLL_S = 0.002
_LAST_LINES = 5

Figure = TypeVar("Figure")


class CommandFailedError(Exception):
    """A command ended otherwise than it should; the message holds its last lines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What is timed. `is_optional` marks a peer: where it does not work, it is left out and the reason shown.

    `before` and `after` are not timed; `after` runs once the command's background processes have ended too.
    """

    label: str
    argv: Sequence[str]
    cwd: Path
    environ: Mapping[str, str]
    stdout: Path
    timeout_s: float = 60.0
    is_optional: bool = False
    before: Callable[[], None] | None = None
    after: Callable[[Sample], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run: until the command returned, the CPU of all of its processes, and how long the last one outlived it."""

    wall_s: float
    cpu_s: float
    outlived_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """All runs of some commands by label, and why an optional one is missing."""

    by_label: Mapping[str, Sequence[Sample]]
    skipped: Mapping[str, str]

    def wall_s(self, label: str) -> list[float]:
        """The wall time of every run; empty where the command was left out."""
        return [sample.wall_s for sample in self.by_label.get(label, ())]

    def cpu_s(self, label: str) -> float | None:
        """The median CPU time of a run and everything it started."""
        found = [sample.cpu_s for sample in self.by_label.get(label, ())]
        return statistics.median(found) if found else None


def become_reaper() -> None:
    """Makes orphans among our descendants our children; without it (not Linux) background CPU goes uncounted."""
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def interleave(commands: Sequence[Command], *, runs: int, warm_ups: int = 1) -> Samples:
    """Runs every command `runs` times, each once before any runs again; warm-ups are thrown away."""
    skipped: dict[str, str] = {}
    found: dict[str, list[Sample]] = {command.label: [] for command in commands}
    for number in range(-warm_ups, runs):
        for command in commands:
            if command.label in skipped:
                continue
            _say(f"{command.label}: " + ("warm-up" if number < 0 else f"{number + 1} of {runs}"))
            try:
                sample = measure(command)
            except CommandFailedError as error:
                if not command.is_optional:
                    raise
                skipped[command.label] = str(error)
                found.pop(command.label)
                continue
            if number >= 0:
                found[command.label].append(sample)
    _say("")
    return Samples(by_label=found, skipped=skipped)


def take_turns(actions: Mapping[str, Callable[[], Figure]], *, runs: int, warm_ups: int = 1) -> dict[str, list[Figure]]:
    """As `interleave`, for actions that measure themselves and return what they found."""
    found: dict[str, list[Figure]] = {label: [] for label in actions}
    for number in range(-warm_ups, runs):
        for label, action in actions.items():
            _say(f"{label}: " + ("warm-up" if number < 0 else f"{number + 1} of {runs}"))
            figure = action()
            if number >= 0:
                found[label].append(figure)
    _say("")
    return found


def measure(command: Command) -> Sample:
    """Runs one command to its end and to that of whatever it left running; raises CommandFailedError."""
    if command.before:
        command.before()
    sample = start_and_wait(command)
    began = time.monotonic()
    cpu_s = drain()
    outlived_s = time.monotonic() - began
    done = Sample(wall_s=sample.wall_s, cpu_s=sample.cpu_s + cpu_s, outlived_s=outlived_s)
    if command.after:
        command.after(done)
    return done


def start_and_wait(command: Command) -> Sample:
    """Runs one command to its own end; what it left running goes on. Raises CommandFailedError."""
    errors = command.stdout.with_suffix(".err")
    with command.stdout.open("wb") as out, errors.open("wb") as err:
        began = time.monotonic()
        process = subprocess.Popen(
            command.argv,
            cwd=command.cwd,
            env=dict(command.environ),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        with deadline(process.pid, command.timeout_s) as is_late:
            cpu_s, status = _wait_for(process.pid)
        wall_s = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        end_descendants()
        why = f"took more than {command.timeout_s:g} s" if is_late() else f"exit code {process.returncode}"
        raise CommandFailedError(f"{command.label}: {why}: {_last_lines(errors) or _last_lines(command.stdout)}")
    return Sample(wall_s=wall_s, cpu_s=cpu_s, outlived_s=0.0)


def drain(limit_s: float = _DRAIN_LIMIT_S) -> float:
    """Waits for every child that is left, orphans included; ends them after `limit_s`. Returns their CPU seconds."""
    cpu_s, limit = 0.0, time.monotonic() + limit_s
    while True:
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return cpu_s
        if pid:
            cpu_s += usage.ru_utime + usage.ru_stime
        elif time.monotonic() > limit:
            end_descendants()
            raise CommandFailedError(f"background processes still ran {limit_s:g} s after the command")
        else:
            time.sleep(_DRAIN_POLL_S)


def end_descendants() -> None:
    """Kills every process that descends from this one, and waits for it."""
    while found := psutil.Process().children(recursive=True):
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, 0):
                pass


def differences(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours minus theirs, pair by pair: two runs that stood next to each other met the same machine."""
    return [one - other for one, other in zip(ours, theirs, strict=False)]


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours over theirs, pair by pair."""
    return [one / other for one, other in zip(ours, theirs, strict=False)]


def _wait_for(wanted: int) -> tuple[float, int]:
    """(CPU seconds, status) once `wanted` has ended; orphans that end meanwhile are reaped and counted."""
    cpu_s = 0.0
    while True:
        pid, status, usage = os.wait4(-1, 0)
        cpu_s += usage.ru_utime + usage.ru_stime
        if pid == wanted:
            return cpu_s, status


@contextlib.contextmanager
def deadline(pid: int, timeout_s: float) -> Iterator[Callable[[], bool]]:
    """Kills the process group of `pid` after `timeout_s`; yields what tells whether that happened."""
    fired = threading.Event()

    def end() -> None:
        fired.set()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)

    timer = threading.Timer(timeout_s, end)
    timer.daemon = True
    timer.start()
    try:
        yield fired.is_set
    finally:
        timer.cancel()


def _last_lines(path: Path) -> str:
    lines = path.read_text(errors="replace").strip().splitlines()
    return " | ".join(lines[-_LAST_LINES:])


def _say(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()
