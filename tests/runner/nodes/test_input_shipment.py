"""Contents of data sets travel once, go on where a link ended, and never from a file that has changed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from runner.nodes.input_shipment import InputShipment
from sidecar.contents import InputContents
from tests.doubles.shipping import exchange, node_store, parcels_of, ship_set

_BIG = os.urandom(400_000)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two equal files and a small one."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("a.bin", "same.bin"):
        (folder / name).write_bytes(_BIG)
    (folder / "small.csv").write_text("x\n1\n")
    return folder


def _node(folder: Path) -> InputContents:
    return InputContents(node_store(folder), "gpu01", "run")


def test_only_what_changed_is_sent_the_second_time(data: Path, tmp_path: Path) -> None:
    """Equal files travel once, a second run's data not at all, and of a changed file nothing but itself."""
    _, _, first = ship_set(data, tmp_path)
    assert len(_BIG) < first < len(_BIG) + 2000
    assert ship_set(data, tmp_path)[2] == 0
    (data / "small.csv").write_text("x\n2\n")
    set_id, parcels = parcels_of(data, tmp_path)
    manifest = next(parcel.size for parcel in parcels if parcel.sha256 == set_id)
    assert ship_set(data, tmp_path)[2] == manifest + len("x\n2\n")


def test_a_link_that_ends_again_and_again_brings_it_further(data: Path, tmp_path: Path) -> None:
    """One piece a link: every byte is sent once."""
    shipment, total, links = InputShipment(parcels_of(data, tmp_path)[1]), 0, 0
    while not shipment.is_complete and links < 50:
        total += exchange(shipment, _node(tmp_path), frames=1)
        links += 1
    assert shipment.is_complete
    assert total == shipment.lacking_bytes == sum(parcel.size for parcel in parcels_of(data, tmp_path)[1])


def test_a_file_that_changed_since_is_not_sent(data: Path, tmp_path: Path) -> None:
    """The run says which it is; nothing of it is kept as if it were the data set's."""
    shipment = InputShipment(parcels_of(data, tmp_path)[1])
    (data / "small.csv").write_text("x\n1\n2\n")
    exchange(shipment, _node(tmp_path))
    assert shipment.problem == f"{data / 'small.csv'} changed after the run was submitted"
    assert not shipment.is_complete


def test_wrong_bytes_are_asked_for_once_more(data: Path, tmp_path: Path) -> None:
    """A content that does not have its hash is thrown away, and comes again."""
    shipment, node = InputShipment(parcels_of(data, tmp_path)[1]), _node(tmp_path)
    answer = node.need(shipment.questions()[0].body)
    number = shipment.questions()[0].body["first"]
    frames = [frame for frame in shipment.take_answer(answer) if frame.stream == number]
    told = [node.take(frame._replace(payload=bytes(len(frame.payload)))) for frame in frames]
    assert told[-1] == {"missing": [[number, 0]], "is_complete": False}
    exchange(shipment, node)
    assert shipment.is_complete


def test_a_new_list_takes_the_place_of_the_last(data: Path, tmp_path: Path) -> None:
    """What was complete of an earlier list does not make the next one complete."""
    node, parcels = _node(tmp_path), parcels_of(data, tmp_path)[1]
    exchange(InputShipment(parcels[:1]), node)
    body = InputShipment(parcels).questions()[0].body
    assert node.need({**body, "contents": body["contents"][:1], "is_last": False}) == {
        "missing": [],
        "is_complete": False,
    }


def test_a_disk_that_fills_up_keeps_nothing_of_it(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else took the room meanwhile: what had come makes place for the run's own last words."""
    node, parcels = _node(tmp_path), parcels_of(data, tmp_path)[1]
    shipment = InputShipment(parcels)
    frames = list(shipment.take_answer(node.need(shipment.questions()[0].body)))
    assert node.take(frames[0]) == {}

    def refuse(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", refuse)
    with pytest.raises(OSError, match="No space left"):
        node.take(frames[1])
    monkeypatch.undo()
    assert [node.take(frame) for frame in frames[2:]] == [{}] * len(frames[2:])
    assert [path for path in node_store(tmp_path).root.rglob("*") if path.is_file()] == []
