"""A node takes only what it lacks, goes on where a connection ended, and keeps nothing with the wrong hash."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from runner.nodes.shipment import Shipment
from runner.store.snapshots import Snapshots
from sidecar.contents import Contents
from sidecar.contract.frames import BrokenFrame, Frame, FrameKind
from sidecar.snapshot import lay_out
from tests.doubles.shipping import exchange

_BIG = bytes(range(256)) * 1000


def _snapshot(folder: Path) -> tuple[Path, str]:
    source = folder / "source"
    source.mkdir()
    (source / "a.bin").write_bytes(_BIG)
    (source / "same.bin").write_bytes(_BIG)
    (source / "empty").write_bytes(b"")
    (source / "train.py").write_text("print(1)\n")
    store = folder / "store"
    return store, Snapshots(store).take(source, limit_bytes=10**9, limit_files=100).id


def test_a_snapshot_arrives_once(tmp_path: Path) -> None:
    """Equal files travel once, and a second run's snapshot does not travel at all."""
    store, snapshot_id = _snapshot(tmp_path)
    shipment = Shipment(store, snapshot_id)
    sent = exchange(shipment, Contents(tmp_path / "node", "gpu01", "run"))
    assert shipment.is_complete
    assert len(_BIG) < sent < 2 * len(_BIG)
    assert lay_out(tmp_path / "node", snapshot_id, tmp_path / "work") == 4
    assert (tmp_path / "work/same.bin").read_bytes() == _BIG
    again = Shipment(store, snapshot_id)
    assert (exchange(again, Contents(tmp_path / "node", "gpu01", "run")), again.is_complete) == (0, True)


def test_a_link_that_ends_again_and_again_brings_it_further(tmp_path: Path) -> None:
    """One chunk a link: every byte is sent once."""
    store, snapshot_id = _snapshot(tmp_path)
    shipment, total, links = Shipment(store, snapshot_id), 0, 0
    while not shipment.is_complete and links < 50:
        total += exchange(shipment, Contents(tmp_path / "node", "gpu01", "run"), frames=1)
        links += 1
    assert shipment.is_complete
    manifest = (store / f"{snapshot_id}.json").stat().st_size
    assert total == len(_BIG) + len("print(1)\n") + manifest


def test_wrong_bytes_are_asked_for_once_more(tmp_path: Path) -> None:
    """A content that does not have its hash is thrown away."""
    node = Contents(tmp_path / "node", "gpu01", "run")
    sha256 = hashlib.sha256(b"right").hexdigest()
    node.need({"first": 0, "contents": [[sha256, 5, "object"]], "is_last": True})
    assert node.take(Frame(FrameKind.BLOB, b"wrong", 0)) == {"missing": [[0, 0]], "is_complete": False}
    assert node.take(Frame(FrameKind.BLOB, b"right", 0)) == {"missing": [], "is_complete": True}


@pytest.mark.parametrize("sha256", ["../../x", "", "0" * 63, "G" * 64])
def test_what_is_no_hash_names_no_file(tmp_path: Path, sha256: str) -> None:
    """A path in place of a hash breaks the link."""
    with pytest.raises(BrokenFrame):
        Contents(tmp_path, "gpu01", "run").need({"first": 0, "contents": [[sha256, 1, "object"]], "is_last": True})
