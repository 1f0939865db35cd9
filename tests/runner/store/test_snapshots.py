"""What a snapshot keeps, what it refuses, and that nothing breaks its store."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.errors import SnapshotError, WorkspaceError
from runner.store import snapshots as module
from runner.store.snapshots import Snapshots
from sidecar.contract import settings, snapshot_manifest
from sidecar.contract.stores import SnapshotsLayout
from sidecar.snapshot import lay_out


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "pkg").mkdir(parents=True)
    (folder / "train.py").write_text("print(1)\n")
    (folder / "pkg" / "run.sh").write_text("#!/bin/sh\n")
    (folder / "pkg" / "run.sh").chmod(0o755)
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Snapshots:
    return Snapshots(tmp_path / "store", pause=lambda _: None)


def _paths(tmp_path: Path, snapshot_id: str) -> set[str]:
    content = SnapshotsLayout(tmp_path / "store").manifest(snapshot_id).read_bytes()
    return {entry["path"] for entry in snapshot_manifest.decode(content)}


def _objects(tmp_path: Path) -> dict[str, int]:
    found = SnapshotsLayout(tmp_path / "store").objects.rglob("*")
    return {path.name: path.stat().st_ino for path in found if path.is_file()}


def test_an_unchanged_folder_keeps_its_id_and_copies_nothing(source: Path, store: Snapshots, tmp_path: Path) -> None:
    """The second snapshot of a folder that did not change writes no object."""
    first = store.take(source)
    before = _objects(tmp_path)
    for path in source.rglob("*"):
        os.utime(path)
    assert store.take(source) == first
    assert _objects(tmp_path) == before
    assert (first.file_count, first.size_bytes) == (2, 19)


def test_any_change_gives_another_id(source: Path, store: Snapshots) -> None:
    """Content, executable bit, name and an empty folder are all part of the id."""
    ids = [store.take(source).id]
    (source / "train.py").write_text("print(2)\n")
    ids.append(store.take(source).id)
    (source / "train.py").chmod(0o755)
    ids.append(store.take(source).id)
    (source / "empty").mkdir()
    ids.append(store.take(source).id)
    (source / "train.py").rename(source / "main.py")
    ids.append(store.take(source).id)
    assert len(set(ids)) == 5


def test_git_the_workspace_and_secrets_are_left_out(source: Path, store: Snapshots, tmp_path: Path) -> None:
    """What must not travel does not, at any depth, and the secrets are reported."""
    for folder in (".git", ".runner", "pkg/.git"):
        (source / folder).mkdir()
        (source / folder / "x").write_text("")
    for name in (".env", "pkg/id_rsa", "tls.pem"):
        (source / name).write_text("secret")
    taken = store.take(source)
    assert _paths(tmp_path, taken.id) == {"train.py", "pkg/run.sh"}
    assert taken.withheld == (".env", "pkg/id_rsa", "tls.pem")
    assert store.take(source, include_secrets=True).file_count == 5


def test_an_ignore_file_takes_a_secret_in_again(source: Path, store: Snapshots, tmp_path: Path) -> None:
    """`!ca.pem` in the ignore file is enough to ask for it."""
    (source / "ca.pem").write_text("public")
    (source / "own.pem").write_text("secret")
    (source / ".amlignore").write_text("!ca.pem\n")
    assert _paths(tmp_path, store.take(source).id) == {".amlignore", "ca.pem", "train.py", "pkg/run.sh"}


def test_a_store_inside_the_source_is_not_in_its_own_snapshot(source: Path) -> None:
    """A workspace of any name inside the folder stays out, so that the id does not grow with every run."""
    store = Snapshots(source / "workspace" / "snapshots")
    assert store.take(source) == store.take(source)
    assert store.take(source).file_count == 2


def test_too_much_is_refused_with_the_ten_largest(source: Path, store: Snapshots) -> None:
    """The message has the total, the limit, the ten largest paths, and how to raise the limit."""
    for index in range(12):
        with open(source / f"data{index}.bin", "wb") as stream:
            stream.truncate((index + 1) * 2**30)
    with pytest.raises(SnapshotError) as caught:
        store.take(source)
    message = str(caught.value)
    assert "79872.0 MB" in message
    assert "300.0 MB" in message
    assert settings.SNAPSHOT_LIMIT_MB in message
    assert [f"data{index}.bin" in message for index in range(12)] == [False] * 2 + [True] * 10


def test_a_sparse_terabyte_is_refused_unread(source: Path, store: Snapshots) -> None:
    """The size alone decides; nothing of the file is read."""
    with open(source / "disk.img", "wb") as stream:
        stream.truncate(2**40)
    started = time.monotonic()
    with pytest.raises(SnapshotError, match=r"disk\.img"):
        store.take(source)
    assert time.monotonic() - started < 5


def test_too_many_files_are_refused(source: Path, store: Snapshots) -> None:
    """The limit on files counts files, and names the fullest folder and the setting."""
    for index in range(9):
        (source / "pkg" / f"{index}").write_text("")
    store.take(source, limit_files=11)
    with pytest.raises(SnapshotError, match="11 files") as caught:
        store.take(source, limit_files=10)
    assert settings.SNAPSHOT_LIMIT_FILES in str(caught.value)
    assert "10 files  pkg" in str(caught.value)


def test_an_ignored_folder_is_not_walked(source: Path, store: Snapshots) -> None:
    """What lies in an ignored folder can neither count nor offend."""
    (source / "data").mkdir()
    os.mkfifo(source / "data" / "pipe")
    (source / ".gitignore").write_text("data/\n")
    assert store.take(source).file_count == 3


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "pkg/../../outside", ".."])
def test_a_link_that_leaves_the_folder_is_refused(source: Path, store: Snapshots, target: str) -> None:
    """The message names the link and where it points."""
    (source / "shortcut").symlink_to(target)
    with pytest.raises(SnapshotError, match="shortcut") as caught:
        store.take(source)
    assert f"-> {target}" in str(caught.value)


def test_links_inside_mean_the_same_in_the_copy(source: Path, store: Snapshots, tmp_path: Path) -> None:
    """Relative, dangling, circular, absolute and roundabout links come out as links that work in the copy."""
    links = {
        "plain": "train.py",
        "pkg/up": "../train.py",
        "dangling": "pkg/none",
        "circle": "circle",
        "absolute": str(source / "train.py"),
        "roundabout": "../source/train.py",
        "here": ".",
    }
    for name, target in links.items():
        (source / name).symlink_to(target)
    lay_out(tmp_path / "store", store.take(source).id, tmp_path / "copy")
    copy = tmp_path / "copy"
    for name in ("plain", "pkg/up", "absolute", "roundabout"):
        assert (copy / name).is_symlink()
        assert (copy / name).resolve() == copy / "train.py"
    assert os.readlink(copy / "dangling") == "pkg/none"


def test_a_fifo_and_a_socket_are_refused_and_never_opened(source: Path, store: Snapshots) -> None:
    """What has no content is named, and reading it does not hang the submit."""
    os.mkfifo(source / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(source / "sock"))
        with pytest.raises(SnapshotError) as caught:
            store.take(source)
    assert "pipe is a FIFO" in str(caught.value)
    assert "sock is a socket" in str(caught.value)


def test_odd_names_survive(source: Path, store: Snapshots, tmp_path: Path) -> None:
    """Newlines, invalid UTF-8, leading dashes and very long names come out byte for byte."""
    names = [b"two\nlines", b"\xff\xfe", b"-rf", "é".encode(), b"x" * 255, b'"', b"\xed\xa0\x80"]
    for name in names:
        (source / os.fsdecode(name)).write_bytes(name)
    lay_out(tmp_path / "store", store.take(source).id, tmp_path / "copy")
    for name in names:
        assert (tmp_path / "copy" / os.fsdecode(name)).read_bytes() == name


def test_a_file_that_keeps_changing_is_named(source: Path, store: Snapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that grows during every one of three reads ends the snapshot."""
    real, reads = os.pread, []

    def pread_while_it_grows(descriptor: int, count: int, offset: int) -> bytes:
        reads.append(offset)
        with open(source / "train.py", "ab") as stream:
            stream.write(b"#")
        return real(descriptor, count, offset)

    (source / "pkg" / "run.sh").unlink()
    monkeypatch.setattr(module.os, "pread", pread_while_it_grows)
    with pytest.raises(SnapshotError, match=r"train\.py changed each of the 3 times"):
        store.take(source)
    assert len(reads) >= 3


def test_a_file_that_held_still_the_second_time_is_taken(source: Path, tmp_path: Path) -> None:
    """One change while reading costs a second read and nothing else; what is kept is the new content."""
    taken = []
    store = Snapshots(tmp_path / "store", pause=taken.append)
    real, changes = os.pread, iter([b"print(3)\n"])

    def pread_and_change_once(descriptor: int, count: int, offset: int) -> bytes:
        content = real(descriptor, count, offset)
        for change in changes:
            (source / "train.py").write_bytes(change + b"more")
        return content

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.os, "pread", pread_and_change_once)
        snapshot = store.take(source)
    lay_out(tmp_path / "store", snapshot.id, tmp_path / "copy")
    assert (tmp_path / "copy" / "train.py").read_bytes() == b"print(3)\nmore"
    assert len(taken) == 1


def test_an_unreadable_file_is_named(source: Path, store: Snapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patched, because root may read everything: the reason is in the message."""
    real = os.open

    def open_but_not_that(path: str, flags: int, mode: int = 0o777) -> int:
        if str(path).endswith("train.py"):
            raise PermissionError(13, "Permission denied")
        return real(path, flags, mode)

    monkeypatch.setattr(module.os, "open", open_but_not_that)
    with pytest.raises(SnapshotError, match=r"train\.py cannot be read: Permission denied"):
        store.take(source)


@pytest.mark.parametrize("name", ["missing", "train.py"])
def test_a_source_that_is_no_folder_is_refused(source: Path, store: Snapshots, name: str) -> None:
    """The message names the folder as it was given."""
    with pytest.raises(SnapshotError, match=name):
        store.take(source / name)


def test_a_store_that_cannot_be_written_is_the_workspaces_fault(source: Path, tmp_path: Path) -> None:
    """A full or read-only workspace is not blamed on the source folder."""
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="cannot write the snapshot store"):
        Snapshots(tmp_path / "file" / "store").take(source)


def test_a_full_disk_leaves_no_object(source: Path, store: Snapshots, tmp_path: Path) -> None:
    """Where the disk takes no more, nothing gets a final name and nothing half-written stays."""

    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.os, "fsync", no_space)
        with pytest.raises(WorkspaceError, match="No space left"):
            store.take(source)
    assert _objects(tmp_path) == {}
    assert not list((tmp_path / "store" / "incoming").iterdir())


_TAKE = "import sys,pathlib; from runner.store.snapshots import Snapshots\n"
_TAKE += "print(Snapshots(pathlib.Path(sys.argv[1])).take(pathlib.Path(sys.argv[2])).id)"


def _start_taker(tmp_path: Path, source: Path) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", _TAKE, str(tmp_path / "store"), str(source)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def test_concurrent_takers_agree(source: Path, tmp_path: Path) -> None:
    """Four processes that snapshot one folder at once give one id and one whole store."""
    for index in range(50):
        (source / f"{index}.bin").write_bytes(os.urandom(5000))
    takers = [_start_taker(tmp_path, source) for _ in range(4)]
    ids = {taker.communicate(timeout=30)[0].strip() for taker in takers}
    assert len(ids) == 1
    assert lay_out(tmp_path / "store", ids.pop(), tmp_path / "copy") == 52


@pytest.mark.parametrize("delay_s", [0.05, 0.1, 0.15, 0.2, 0.3])
def test_a_killed_taker_leaves_a_store_that_works(source: Path, tmp_path: Path, delay_s: float) -> None:
    """After kill -9 at whatever moment, every object under its final name has that hash, and the next take works."""
    for index in range(100):
        (source / f"{index}.bin").write_bytes(os.urandom(200_000))
    taker = _start_taker(tmp_path, source)
    with contextlib.suppress(subprocess.TimeoutExpired):
        taker.wait(timeout=delay_s)
    taker.kill()
    taker.communicate()
    for name in _objects(tmp_path):
        content = SnapshotsLayout(tmp_path / "store").object(name).read_bytes()
        assert snapshot_manifest.identify(content) == name
    snapshot = Snapshots(tmp_path / "store").take(source)
    assert lay_out(tmp_path / "store", snapshot.id, tmp_path / "copy") == 102


def test_old_leftovers_are_swept_and_young_ones_kept(source: Path, store: Snapshots, tmp_path: Path) -> None:
    """Another taker may be at work in a young folder; one of yesterday belongs to nobody."""
    incoming = SnapshotsLayout(tmp_path / "store").incoming
    for name, age_s in (("old", 2 * 86400), ("young", 3600)):
        (incoming / name).mkdir(parents=True)
        (incoming / name / "x").write_text("")
        os.utime(incoming / name, (time.time() - age_s,) * 2)
    store.take(source)
    assert [path.name for path in incoming.iterdir()] == ["young"]


def test_a_short_object_of_a_power_cut_is_written_again(source: Path, store: Snapshots, tmp_path: Path) -> None:
    """An object whose size is wrong does not count as there."""
    snapshot = store.take(source)
    for name in _objects(tmp_path):
        path = SnapshotsLayout(tmp_path / "store").object(name)
        path.chmod(0o600)
        path.write_bytes(b"")
    assert store.take(source) == snapshot
    assert lay_out(tmp_path / "store", snapshot.id, tmp_path / "copy") == 2
