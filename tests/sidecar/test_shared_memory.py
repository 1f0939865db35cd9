"""Shared memory: what a run left is removed, what was there before it never is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.history.run_record import read_record
from sidecar import shared_memory
from tests.doubles.command import Command

_SCRIPT = """
import mmap, os, sys, time
def segment(path):
    with open(path, "r+b" if os.path.exists(path) else "w+b") as f:
        f.truncate(4096)
        return mmap.mmap(f.fileno(), 4096)
held = [segment(path) for path in sys.argv[1:]]
print("up", flush=True)
time.sleep(600)
"""


@pytest.fixture
def names() -> Iterator[tuple[Path, Path, Path]]:
    """(a data set in a folder, a segment of somebody's, a segment that the run will make) in /dev/shm."""
    tag = f"scriptrun-test-{os.getpid()}"
    folder, theirs, made = (shared_memory.POSIX_FOLDER / f"{tag}-{name}" for name in ("data", "theirs", "made"))
    folder.mkdir()
    data = folder / "train.bin"
    for path in (data, theirs):
        path.write_bytes(b"x" * 4096)
    yield data, theirs, made
    for path in (data, theirs, made):
        path.unlink(missing_ok=True)
    folder.rmdir()


def test_only_what_the_run_made_is_removed(tmp_path: Path, names: tuple[Path, Path, Path]) -> None:
    """A killed script leaves its own segment, which goes; a data set and another's segment that it used stay."""
    command = Command(tmp_path)
    command.write("use.py", _SCRIPT)
    command.write("use.yml", f"script: use.py\narguments: [{', '.join(map(str, names))}]\n")
    run = command.submit("use.yml")
    from tests.doubles.node_lab import wait_until

    wait_until(lambda: run.driver_log(None).exists() and run.driver_log(None).read_bytes() == b"up\n")
    assert command.run("cancel", "last").returncode == 0
    data, theirs, made = names
    assert (data.exists(), theirs.exists(), made.exists()) == (True, True, False)
    census = (read_record(run).census or {})["local-0"]
    assert (census["removed"], census["left"]) == ([str(made)], 0)
