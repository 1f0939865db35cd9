"""300 MB from one host into the run folder, against `ssh host cat` of the same file into a file."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.hosts import GO, HOME, Hosts, size_of, standing, wait_until
from tests.benchmarks.output import sha256_of
from tests.benchmarks.report import Row, Section
from tests.benchmarks.stage import Stage
from tests.benchmarks.timing import CommandFailedError, ratios, take_turns

NAME = "ssh_flood"

_LIMIT_RATIO = 1.0
_MEGABYTES = 300
_SMALL_MEGABYTES = 30
_PIECE_BYTES = 1_000_000
_SCRIPT = f"""
import os
import sys
import time

while not os.path.exists({GO!r}):
    time.sleep(0.001)
with open(sys.argv[1], "rb", buffering=0) as stream:
    while piece := memoryview(stream.read(1 << 20)):
        while piece:
            piece = piece[os.write(1, piece):]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Passage:
    """How long the bytes took: from the first in the local file to the last, and to the end of everything."""

    bytes_s: float
    whole_s: float


def measure(stage: Stage) -> Section:
    """Text, then random bytes."""
    megabytes = stage.size(_MEGABYTES, small=_SMALL_MEGABYTES)
    section = Section(name=NAME, title=f"{megabytes} MB from one host over ssh; compared by sha256")
    with standing(stage, 1) as hosts:
        for kind, piece in (("text", _text), ("random binary", _random)):
            _measure_one(hosts, section, kind, piece, megabytes)
    section.notes += [
        "both read the same file on the host; `ssh` is OpenSSH with its own choice of cipher",
        "first to last byte: as the local file is seen to grow, looked at every millisecond",
        "whole: runner, from the first byte until the run is Completed, every byte on the host and here hashed and"
        " compared; ssh cat, from the start of the command to its end, connection included",
        "in a lab host and submitter share the cores, and runner's rank writes its log to the disk of the host besides",
    ]
    return section


def _measure_one(hosts: Hosts, section: Section, kind: str, piece: Callable[[int], bytes], megabytes: int) -> None:
    flood = hosts.lab.homes(hosts.lab[0]) / "lab" / "flood"
    sha256 = _write(flood, piece, megabytes)
    size = megabytes * _PIECE_BYTES
    try:
        samples = take_turns(
            {
                f"{kind}: ssh cat": lambda: _cat(hosts, size, sha256),
                f"{kind}: runner": lambda: _run(hosts, size, sha256),
            },
            runs=hosts.stage.count(5),
        )
    finally:
        flood.unlink()
    theirs, ours = samples.values()
    for label, found in samples.items():
        rates = [megabytes / one.bytes_s for one in found]
        section.add(Row(what=f"{label}: rate from first to last byte", values=rates, unit="MB/s"))
        section.add(Row(what=f"{label}: first to last byte", values=[one.bytes_s for one in found]))
        section.add(Row(what=f"{label}: whole", values=[one.whole_s for one in found]))
    # The rate of `ssh host cat` is that of the command, as a person times it. Ours has no command: its link stands.
    pairs = ratios([one.bytes_s for one in ours], [one.whole_s for one in theirs])
    what = f"{kind}: runner's first to last byte / whole ssh cat, pair by pair"
    section.add(Row(what=what, values=pairs, unit="x", limit=_LIMIT_RATIO))
    pairs = ratios([one.bytes_s for one in ours], [one.bytes_s for one in theirs])
    section.add(Row(what=f"{kind}: the same / ssh cat's first to last byte", values=pairs, unit="x"))


def _cat(hosts: Hosts, size: int, sha256: str) -> _Passage:
    target = hosts.stage.scratch / "flood.received"
    target.unlink(missing_ok=True)
    os.sync()
    argv = hosts.lab.submitter.ssh_command(hosts.lab[0], "cat", f"{HOME}/flood")
    with target.open("wb") as stream:
        began = time.monotonic()
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=stream, env=hosts.environ)
        bytes_s = _watch(target, size)
        process.wait()
        whole_s = time.monotonic() - began
    _check(target, sha256)
    target.unlink()
    return _Passage(bytes_s=bytes_s, whole_s=whole_s)


def _run(hosts: Hosts, size: int, sha256: str) -> _Passage:
    host = hosts.lab[0]
    hosts.hold(host)
    config = hosts.config("flood-ssh", _SCRIPT, arguments=[f"{HOME}/flood"])
    run = hosts.submit(config)
    log = run.driver_log(None)
    os.sync()
    hosts.let_go(host)
    bytes_s = _watch(log, size)
    last = time.monotonic()
    whole_s = bytes_s + hosts.wait_end(run) - last
    _check(log, sha256)
    shutil.rmtree(run.root)
    return _Passage(bytes_s=bytes_s, whole_s=whole_s)


def _watch(path: Path, size: int) -> float:
    """Seconds from the first byte of a growing file to its last."""
    wait_until(lambda: size_of(path) > 0, f"the first byte of {path.name}")
    first = time.monotonic()
    wait_until(lambda: size_of(path) >= size, f"the last byte of {path.name}")
    return time.monotonic() - first


def _check(path: Path, sha256: str) -> None:
    if sha256_of(path) != sha256:
        raise CommandFailedError(f"{path} ({path.stat().st_size:,} bytes) is not what the host has")


def _write(path: Path, piece: Callable[[int], bytes], megabytes: int) -> str:
    """Writes the file on the host; returns its sha256."""
    digest = hashlib.sha256()
    with path.open("wb") as stream:
        for number in range(megabytes):
            content = piece(number)
            digest.update(content)
            stream.write(content)
    path.chmod(0o644)
    return digest.hexdigest()


def _text(number: int) -> bytes:
    """A megabyte of numbered lines of 100 bytes."""
    return b"".join(b"%012d %s\n" % (number * 10_000 + line, b"x" * 86) for line in range(_PIECE_BYTES // 100))


def _random(_: int) -> bytes:
    return os.urandom(_PIECE_BYTES)
