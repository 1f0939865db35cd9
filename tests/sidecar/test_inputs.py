"""Data sets on a node: used in place where they are there, laid out once and read-only where they were sent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runner.store.inputs import Inputs
from sidecar import inputs, tree
from sidecar.contract.layout import WorkspaceLayout
from sidecar.contract.stores import InputsLayout
from sidecar.right_contents import is_right
from tests.doubles.shipping import ship_set


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set with equal files, an empty one and an empty folder."""
    folder = tmp_path / "data"
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "empty").mkdir()
    (folder / "a" / "b" / "x.bin").write_bytes(b"x" * 200_000)
    (folder / "same.bin").write_bytes(b"x" * 200_000)
    (folder / "zero").write_bytes(b"")
    (folder / "link.bin").symlink_to("same.bin")
    return folder


def _content(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_what_was_sent_is_laid_out_read_only_and_once(data: Path, tmp_path: Path) -> None:
    """Every file is there, as a link to the one content; nobody may write to it; a second time changes nothing."""
    store, set_id, _ = ship_set(data, tmp_path)
    folder = inputs.lay_out(store, set_id)
    assert _content(folder) == _content(data)
    assert folder.joinpath("same.bin").stat().st_nlink == 4  # Three names, and the store's.
    assert all(not path.stat().st_mode & 0o222 for path in (folder, *folder.rglob("*")))
    before = {path: path.stat().st_ctime_ns for path in folder.rglob("*") if path.is_file()}
    assert inputs.lay_out(store, set_id) == folder
    assert {path: path.stat().st_ctime_ns for path in before} == before
    tree.remove(str(folder))


def test_what_a_job_wrote_to_comes_anew(data: Path, tmp_path: Path) -> None:
    """Written through all rights: the content is not taken for right any more, is sent again, and put right."""
    store, set_id, _ = ship_set(data, tmp_path)
    folder = inputs.lay_out(store, set_id)
    folder.joinpath("same.bin").chmod(0o644)
    with folder.joinpath("same.bin").open("r+b") as stream:
        stream.write(b"harm")
    with pytest.raises(inputs.BadInput, match="is not there, or was changed"):
        inputs.lay_out(store, set_id)
    _, _, sent = ship_set(data, tmp_path)
    assert sent == 200_000
    assert _content(inputs.lay_out(store, set_id)) == _content(data)


def test_laying_out_again_repairs_what_a_crash_left(data: Path, tmp_path: Path) -> None:
    """Half of it there, a file that is none of it: the second time makes it whole."""
    store, set_id, _ = ship_set(data, tmp_path)
    half = store.folder(set_id)
    (half / "a").mkdir(parents=True)
    (half / "same.bin").write_bytes(b"half")
    assert _content(inputs.lay_out(store, set_id)) == _content(data)


def test_a_large_content_is_hashed_before_its_first_use(data: Path, tmp_path: Path) -> None:
    """One with wrong bytes is removed, and used by nobody."""
    store, set_id, _ = ship_set(data, tmp_path)
    sha256 = next(path.name for path in store.objects.rglob("*") if path.is_file() and path.stat().st_size)
    os.replace(store.object(sha256), store.unchecked(sha256))
    inputs.lay_out(store, set_id)
    assert is_right(store.object(sha256), 200_000)
    tree.remove(str(store.folder(set_id)))
    store.object(sha256).unlink()
    store.unchecked(sha256).write_bytes(b"y" * 200_000)
    with pytest.raises(inputs.BadInput, match="did not come as it was sent"):
        inputs.lay_out(store, set_id)
    assert not store.unchecked(sha256).exists()


def test_data_at_the_same_path_are_used_in_place(data: Path, tmp_path: Path) -> None:
    """All names, sizes and times agree; one byte, one moment or one file more, and they do not."""
    workspace = WorkspaceLayout(tmp_path / "workspace")
    listing_id = Inputs(workspace).list(str(data)).id
    listing = inputs.read_listing(InputsLayout.of(workspace.root), listing_id)
    assert listing.place == str(data) and listing.size_bytes == 600_000
    assert inputs.is_in_place(listing)
    (data / "more").write_text("x")
    assert not inputs.is_in_place(listing)
    (data / "more").unlink()
    os.utime(data / "zero", ns=(0, 1))
    assert not inputs.is_in_place(listing)
    assert not inputs.is_in_place(listing._replace(root=str(tmp_path / "nowhere")))


def test_one_file_is_its_own_place(data: Path, tmp_path: Path) -> None:
    """What lies beside it is nobody's business."""
    workspace = WorkspaceLayout(tmp_path / "workspace")
    listing = inputs.read_listing(InputsLayout.of(workspace.root), Inputs(workspace).list(str(data / "same.bin")).id)
    assert (listing.place, len(listing.files)) == (str(data / "same.bin"), 1)
    assert inputs.is_in_place(listing)
