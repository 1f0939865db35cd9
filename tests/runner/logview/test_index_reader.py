import struct
from pathlib import Path

from runner.logview.index_reader import TimeIndex


def write(path: Path, *records: tuple[int, int], rest: bytes = b"") -> None:
    with open(path, "ab") as stream:
        stream.write(b"".join(struct.pack("<QQ", *record) for record in records) + rest)


def test_first_record_that_reaches_a_byte(tmp_path: Path) -> None:
    """A line was seen when the first record reached its end."""
    write(tmp_path / "i", (10, 1), (20, 2), (20, 3), (30, 4))
    index = TimeIndex(str(tmp_path / "i"))
    assert [index.covering(end) for end in (1, 10, 11, 20, 25, 31)] == [
        (10, 1),
        (10, 1),
        (20, 2),
        (20, 2),
        (30, 4),
        None,
    ]


def test_growing_and_torn_index(tmp_path: Path) -> None:
    """Half a record waits until it is whole; many records are read piece by piece."""
    path = tmp_path / "i"
    index = TimeIndex(str(path))
    assert index.covering(1) is None
    record = struct.pack("<QQ", 5, 9)
    write(path, rest=record[:7])
    assert index.covering(5) is None
    write(path, *[], rest=record[7:])
    write(path, *[(10 + number, number) for number in range(5000)])
    assert (index.covering(5), index.covering(5009)) == ((5, 9), (5009, 4999))


def test_records_of_an_emptied_log_are_forgotten(tmp_path: Path) -> None:
    """After the log began anew only newer records count."""
    path = tmp_path / "i"
    write(path, (100, 1))
    index = TimeIndex(str(path))
    index.skip_to_end()
    write(path, (5, 2))
    assert index.covering(5) == (5, 2)


def test_a_clock_that_is_ahead_is_set_right(tmp_path: Path) -> None:
    """Times come on this machine's clock, whatever the node's said."""
    write(tmp_path / "i", (10, 5_000_000_100))
    assert TimeIndex(str(tmp_path / "i"), clock_offset_ns=5_000_000_000).covering(10) == (10, 100)
