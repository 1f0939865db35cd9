"""A snapshot laid out on a node is the source folder again, and never reaches outside its destination."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from runner.store.snapshots import Snapshots
from sidecar.contract import snapshot_manifest
from sidecar.contract.stores import SnapshotsLayout
from sidecar.snapshot import lay_out

_EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "a" / "b" / "data").write_bytes(os.urandom(3_000_000))
    (folder / "go").write_text("#!/bin/sh\n")
    (folder / "go").chmod(0o755)
    (folder / "zero").write_text("")
    return folder


def _put(store: Path, entries: list[dict[str, Any]]) -> str:
    """A manifest as a forger would write it, under its true hash."""
    layout = SnapshotsLayout(store)
    layout.object(_EMPTY).parent.mkdir(parents=True, exist_ok=True)
    layout.object(_EMPTY).write_bytes(b"")
    content = json.dumps(entries).encode()
    layout.manifest(snapshot_manifest.identify(content)).write_bytes(content)
    return snapshot_manifest.identify(content)


def _file(path: str) -> dict[str, Any]:
    return {"path": path, "mode": "644", "size": 0, "sha256": _EMPTY}


def test_the_folder_comes_out_exactly(source: Path, tmp_path: Path) -> None:
    """Contents, executable bits and empty folders are the same, and the files can be changed by the job."""
    snapshot = Snapshots(tmp_path / "store").take(source)
    assert lay_out(tmp_path / "store", snapshot.id, tmp_path / "copy") == snapshot.file_count == 3
    copy = tmp_path / "copy"
    for path in source.rglob("*"):
        twin = copy / path.relative_to(source)
        assert path.is_dir() == twin.is_dir()
        assert path.is_dir() or path.read_bytes() == twin.read_bytes()
        assert twin.stat().st_mode & 0o200
        assert path.is_dir() or bool(twin.stat().st_mode & 0o100) == bool(path.stat().st_mode & 0o100)
    assert len(list(copy.rglob("*"))) == len(list(source.rglob("*")))


def test_laying_out_again_repairs_what_a_crash_left(source: Path, tmp_path: Path) -> None:
    """A half-written file, a link in a file's place: the second time makes them right."""
    snapshot = Snapshots(tmp_path / "store").take(source)
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "go").write_text("half")
    (tmp_path / "copy" / "zero").symlink_to(tmp_path / "victim")
    lay_out(tmp_path / "store", snapshot.id, tmp_path / "copy")
    assert (tmp_path / "copy" / "go").read_text() == "#!/bin/sh\n"
    assert not (tmp_path / "victim").exists()


@pytest.mark.parametrize(
    "entries",
    [
        [_file("../escape")],
        [_file("/escape")],
        [_file("a/../../escape")],
        [_file("a\0b")],
        [_file("")],
        [_file("a//b")],
        [_file("x"), _file("x")],
        [_file("x"), _file("x/y")],
        [{"path": "link", "link": "/etc"}],
        [{"path": "link", "link": "../.."}],
        [{"path": "link", "link": "a/../../b"}],
        [{"path": "link", "link": "."}, _file("link/escape")],
        [{"path": "f", "mode": "4755", "size": 0, "sha256": _EMPTY}],
        [{"path": "f", "mode": "644", "size": 0, "sha256": "../../etc/passwd"}],
        [{"mode": "644"}],
        ["f"],
    ],
    ids=str,
)
def test_an_unsafe_manifest_writes_nothing(tmp_path: Path, entries: list[Any]) -> None:
    """Whatever could leave the destination is refused before the first file is written."""
    store = tmp_path / "store"
    store.mkdir()
    forged = _put(store, entries)
    with pytest.raises(ValueError, match="manifest"):
        lay_out(store, forged, tmp_path / "copy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["store"]


def test_nothing_is_written_through_a_link_that_lies_in_the_way(tmp_path: Path) -> None:
    """A link in a folder's place, left by whomever, is refused and not followed."""
    (tmp_path / "store").mkdir()
    forged = _put(tmp_path / "store", [_file("a/b")])
    (tmp_path / "outside").mkdir()
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / "a").symlink_to(tmp_path / "outside")
    with pytest.raises(ValueError, match="should be a folder"):
        lay_out(tmp_path / "store", forged, tmp_path / "copy")
    assert not list((tmp_path / "outside").iterdir())


def test_a_damaged_store_is_noticed(source: Path, tmp_path: Path) -> None:
    """A changed byte in an object, or in the manifest, ends the laying out."""
    snapshot = Snapshots(tmp_path / "store").take(source)
    layout = SnapshotsLayout(tmp_path / "store")
    for path in (layout.object(_sha(source / "go")), layout.manifest(snapshot.id)):
        path.chmod(0o600)
        path.write_bytes(b"X" + path.read_bytes()[1:])
        with pytest.raises(ValueError, match="damaged"):
            lay_out(tmp_path / "store", snapshot.id, tmp_path / "copy")


def test_an_unknown_snapshot_is_named_as_such(tmp_path: Path) -> None:
    """The store is in the message, for it may be the wrong one."""
    with pytest.raises(ValueError, match="no such snapshot"):
        lay_out(tmp_path, "0" * 64, tmp_path / "copy")


def _sha(path: Path) -> str:
    return snapshot_manifest.identify(path.read_bytes())
