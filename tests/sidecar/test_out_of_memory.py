"""A process that the kernel kills for lack of memory is told from one that anybody else killed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.node_lab import node_lab

_GROUPS = Path("/sys/fs/cgroup/memory")
_LIMIT_BYTES = 64 * 1024 * 1024


@pytest.fixture
def group() -> Iterator[Path]:
    """A memory control group with a limit; version 1, or version 2 where that is what is mounted."""
    is_first_version = (_GROUPS / "tasks").exists()
    parent = _GROUPS if is_first_version else Path("/sys/fs/cgroup")
    folder = parent / f"scriptrun-test-{os.getpid()}"
    try:
        folder.mkdir()
        (folder / ("memory.limit_in_bytes" if is_first_version else "memory.max")).write_text(str(_LIMIT_BYTES))
    except OSError as error:
        pytest.skip(f"no memory control group can be made here: {error}")
    yield folder
    for pid in (folder / "cgroup.procs").read_text().split():
        (parent / "cgroup.procs").write_text(pid)
    folder.rmdir()


@pytest.mark.root
def test_out_of_memory_is_named_with_its_limit(tmp_path: Path, group: Path) -> None:
    """The exit record says out of memory, and the limit that was hit."""
    with node_lab(tmp_path) as lab:
        (group / "cgroup.procs").write_text(str(lab.supervisor_pid))
        lab.start_python("held = bytearray(300 * 1024 * 1024)")
        lab.wait_ended()
        record = lab.exits()["main"]
        assert (record["signal"], record["is_out_of_memory"]) == ("SIGKILL", True)
        assert record["memory_limit_bytes"] == _LIMIT_BYTES


def test_a_kill_is_not_called_out_of_memory(tmp_path: Path) -> None:
    """The same signal from a person is a signal."""
    with node_lab(tmp_path) as lab:
        lab.start_python("import os; os.kill(os.getpid(), 9)")
        lab.wait_ended()
        assert lab.exits()["main"]["is_out_of_memory"] is False
