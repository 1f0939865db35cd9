"""Disks that are full, read-only or broken: the runner says so, hurts nobody, and goes on once there is room."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.errors import MachineError
from runner.history.full_disk import full_disk
from sidecar import processes
from sidecar.contract.layout import RunLayout
from tests.faults.invariants import checked
from tests.faults.lab import COUNTING, Lab, Victim, pause, wait_until

_SCRIPT = COUNTING.format(lines=3, pause=0)
_FILLING = """
import os, sys, time
go = sys.argv[1] + "/go"
print("before", flush=True)
ballast = os.open("outputs/ballast", os.O_WRONLY | os.O_CREAT)
for size in (1 << 16, 1 << 12, 1 << 8, 1):
    try:
        while True: os.write(ballast, b"x" * size)
    except OSError as error:
        assert error.errno == 28, error
open(sys.argv[1] + "/full", "w")
while not os.path.exists(go): time.sleep(0.01)
"""


@contextlib.contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """A disk of `size` (tmpfs) at `place`."""
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk: Path) -> None:
    """Takes what room there is."""
    with open(disk / "ballast", "wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while True:
            ballast.write(b"x" * 4096)


def _submit(lab: Lab, *prefix: str, variables: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    argv = [*prefix, sys.executable, "-m", "runner", "submit", str(lab.config(_SCRIPT)), "-o", "json"]
    environ = {**lab.environ, **(variables or {})}
    return subprocess.run(argv, env=environ, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60)


@pytest.mark.root
def test_no_room_for_a_submit(lab: Lab) -> None:
    """A workspace on a full disk: exit code 2, the reason and the place in one message, and nothing was created."""
    with small_disk(lab.workspace.root, "1m") as disk:
        assert _submit(lab).returncode == 0
        for victim in [lab.victim(run_id) for run_id in lab.run_ids()]:
            victim.wait_end()
        before = lab.run_ids()
        fill(disk)
        done = _submit(lab)
        assert (done.returncode, done.stdout) == (2, "")
        assert "No space left on device" in done.stderr
        assert str(disk) in done.stderr
        assert lab.run_ids() == before


@pytest.mark.root
@pytest.mark.parametrize(
    ("ends_at_once", "full_s"),
    [(True, 3.0), pytest.param(True, 45.0, marks=pytest.mark.chaos), (False, 1.0)],
)
def test_a_disk_that_fills_up_and_is_freed(lab: Lab, tmp_path: Path, ends_at_once: bool, full_s: float) -> None:
    """A process fills the disk, and ends before or after somebody makes room: its true end is told."""
    with small_disk(lab.workspace.root, "6m") as disk:
        victim = lab.submit(_FILLING, arguments=(str(tmp_path),))
        wait_until((tmp_path / "full").exists, what="a full disk")
        if ends_at_once:
            (tmp_path / "go").touch()
        pause(full_s)
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        (tmp_path / "go").touch()
        wait_until(lambda: _has_ended(victim), limit_s=60, what="the end of the run")
        checked(victim, started=1)
        assert victim.run.driver_log(None).read_bytes() == b"before\n"


def _has_ended(victim: Victim) -> bool:
    try:
        victim.resume()
    except MachineError:
        return False
    return victim.record.status.is_terminal


@pytest.mark.root
def test_a_read_only_workspace(lab: Lab) -> None:
    """Mounted read-only: exit code 2, the place in the message, nothing created (F16)."""
    with small_disk(lab.workspace.root, "1m") as disk:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        done = _submit(lab)
        assert (done.returncode, done.stdout) == (2, "")
        assert f"cannot write the workspace {disk}: Read-only file system" in done.stderr
        assert list(disk.iterdir()) == []


@pytest.mark.parametrize("place", ["", "runs", "snapshots"])
def test_a_workspace_that_may_not_be_written(lab: Lab, plainly: list[str], place: str) -> None:
    """No right to write the workspace, or a folder in it: exit code 2, and no run (F16)."""
    for folder in (lab.workspace.runs, lab.workspace.snapshots, lab.workspace.compute):
        folder.mkdir(parents=True)
    locked = lab.workspace.root / place
    locked.chmod(0o500)
    try:
        done = _submit(lab, *plainly)
        assert (done.returncode, done.stdout) == (2, "")
        assert str(lab.workspace.root) in done.stderr
        assert "Permission denied" in done.stderr
        assert os.listdir(lab.workspace.runs) == []
    finally:
        locked.chmod(0o700)


@pytest.mark.parametrize("kind", ["locked", "missing", "a file"])
def test_a_useless_tmpdir(lab: Lab, tmp_path: Path, plainly: list[str], kind: str) -> None:
    """The runner needs no TMPDIR: one that is locked, or is not there, changes nothing (F15)."""
    place = tmp_path / "tmp"
    if kind == "a file":
        place.touch()
    elif kind == "locked":
        place.mkdir(mode=0o500)
    done = _submit(lab, *plainly, variables={"TMPDIR": str(place)})
    assert done.returncode == 0, done.stderr
    victim = lab.victim(lab.run_ids()[0])
    victim.wait_end()
    checked(victim, started=1)


@pytest.mark.root
def test_a_full_tmpdir(lab: Lab, tmp_path: Path) -> None:
    """Not one byte of room in TMPDIR: the run does not care (F15)."""
    with small_disk(tmp_path / "tmp", "4k") as disk:
        (disk / "ballast").write_bytes(b"x" * 4096)
        assert _submit(lab, variables={"TMPDIR": str(disk)}).returncode == 0
        victim = lab.victim(lab.run_ids()[0])
        victim.wait_end()
        checked(victim, started=1)


def test_a_node_that_cannot_be_written(lab: Lab, plainly: list[str]) -> None:
    """One of two nodes has no right to its folder: the run fails and says so, and the other node is let go."""
    locked = lab.workspace.nodes / "local-1"
    locked.mkdir(parents=True)
    locked.chmod(0o500)
    victim = lab.create(_SCRIPT, processes=2, nodes=2)
    try:
        lab.popen("controller", victim.run_id, prefix=plainly).wait(timeout=60)
    finally:
        locked.chmod(0o700)
    record = checked(victim, "Failed", started=0)
    assert record.failure is not None
    assert f"{victim.node(1).root}: Permission denied" in record.failure["summary"]


@pytest.mark.root
def test_a_disk_without_inodes(tmp_path: Path) -> None:
    """Room for bytes, but for no file: status says that, too."""
    with small_disk(tmp_path / "disk", "1m,nr_inodes=8") as disk:
        assert full_disk(RunLayout(disk)) is None
        for number in range(6):
            (disk / str(number)).touch()
        assert (full_disk(RunLayout(disk)) or "").startswith("no inodes left on the disk of")


@pytest.mark.root
def test_a_disk_that_can_only_be_read_when_a_process_ends(lab: Lab, tmp_path: Path) -> None:
    """The true end of the process is told once the disk can be written again."""
    source = "import os, sys, time\nprint('x', flush=True)\nwhile not os.path.exists(sys.argv[1]): time.sleep(0.01)"
    with small_disk(lab.workspace.root, "6m") as disk:
        victim = lab.submit(source, arguments=(str(tmp_path / "go"),))
        victim.wait_log(b"x\n")
        pid = victim.wait_started()["main"]["pid"]
        subprocess.run(["mount", "--bind", disk, disk], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", disk], check=True)
        try:
            assert "mounted read-only" in lab.command("status", victim.run_id).stdout
            (tmp_path / "go").touch()
            wait_until(lambda: not processes.command_line(pid), what="the end of the process")
            pause(1.0)  # Now its wrapper tries in vain to say so.
        finally:
            subprocess.run(["umount", "--lazy", disk], check=True)
        wait_until(lambda: _has_ended(victim), limit_s=60, what="the end of the run")
        checked(victim, started=1)
