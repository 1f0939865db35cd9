"""Data sets are listed without being opened, and hashed once as long as nothing of them changes."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path

import pytest

from runner.errors import MachineError
from runner.store.inputs import Inputs
from sidecar.contract.layout import WorkspaceLayout
from sidecar.contract.stores import InputsLayout

_OLD_NS = 1_600_000_000 * 10**9


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with two files that were changed long ago."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("a.csv", "b.csv"):
        (folder / name).write_text(name)
        os.utime(folder / name, ns=(_OLD_NS, _OLD_NS))
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> WorkspaceLayout:
    """An empty workspace."""
    return WorkspaceLayout(tmp_path / "workspace")


def _hash(workspace: WorkspaceLayout, data: Path) -> set[str]:
    store = Inputs(workspace)
    return set(store.hash(store.list(str(data)).id, lambda: False).contents)


def test_a_file_is_read_once(workspace: WorkspaceLayout, data: Path) -> None:
    """The second time its hash is taken from the cache, whatever stands there; a changed file is read again."""
    assert hashlib.sha256(b"a.csv").hexdigest() in _hash(workspace, data)
    with sqlite3.connect(InputsLayout.of(workspace.root).hashes) as connection:
        connection.execute("UPDATE hashes SET sha256 = 'known ' || CAST(path AS TEXT)")
    connection.close()
    assert _hash(workspace, data) == {f"known {data}/a.csv", f"known {data}/b.csv"}
    (data / "a.csv").write_text("new")
    assert _hash(workspace, data) == {hashlib.sha256(b"new").hexdigest(), f"known {data}/b.csv"}


def test_a_file_that_was_just_written_is_read_again(workspace: WorkspaceLayout, data: Path) -> None:
    """It may change once more without its time of change showing it."""
    (data / "a.csv").write_text("just now")
    _hash(workspace, data)
    with sqlite3.connect(InputsLayout.of(workspace.root).hashes) as connection:
        paths = [bytes(path).decode() for (path,) in connection.execute("SELECT path FROM hashes")]
    connection.close()
    assert paths == [str(data / "b.csv")]


def test_without_a_cache_everything_is_hashed(workspace: WorkspaceLayout, data: Path) -> None:
    """A cache that cannot be read costs time and nothing else."""
    hashes = InputsLayout.of(workspace.root).hashes
    hashes.parent.mkdir(parents=True)
    hashes.write_text("no database")
    assert hashlib.sha256(b"a.csv").hexdigest() in _hash(workspace, data)


def test_data_that_changed_since_submit_are_refused(workspace: WorkspaceLayout, data: Path) -> None:
    """What is sent is what was submitted, or nothing."""
    store = Inputs(workspace)
    listed = store.list(str(data))
    (data / "a.csv").write_text("another")
    with pytest.raises(MachineError, match=r"a\.csv changed after the run was submitted"):
        store.hash(listed.id, lambda: False)
    (data / "a.csv").unlink()
    with pytest.raises(MachineError, match=r"a\.csv cannot be read: No such file"):
        store.hash(listed.id, lambda: False)


def test_links_are_followed_and_never_in_a_circle(workspace: WorkspaceLayout, data: Path, tmp_path: Path) -> None:
    """A link to data elsewhere is data; one to nothing, or to where it lies itself, is not; nor is a FIFO."""
    far = tmp_path / "far"
    far.mkdir()
    (far / "c.csv").write_text("c")
    (data / "far").symlink_to(far)
    (data / "self").symlink_to(data)
    (data / "nothing").symlink_to("nowhere")
    os.mkfifo(data / "fifo")
    listed = Inputs(workspace).list(str(data))
    assert [file.path for file in Inputs(workspace).read(listed.id).files] == ["a.csv", "b.csv", "far/c.csv"]
    assert (listed.file_count, listed.size_bytes) == (3, 11)


def test_hashing_ends_when_it_is_not_wanted_any_more(workspace: WorkspaceLayout, data: Path) -> None:
    """A canceled run does not read a terabyte first."""
    store = Inputs(workspace)
    with pytest.raises(MachineError, match="not wanted"):
        store.hash(store.list(str(data)).id, lambda: True)
