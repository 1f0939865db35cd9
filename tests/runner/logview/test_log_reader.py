import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.logview.log_reader import CHUNK_BYTES, ELLIPSIS, LINE_LIMIT_BYTES, LogReader


def read_all(reader: LogReader) -> bytes:
    payload = b"".join(block.payload for block in reader.blocks())
    rest = reader.take_open()
    return payload + (rest.payload if rest else b"")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([b"a", b"\n", b"\r\n", b"\r", b"xyz\n", b"\xff\x00", b"w" * 300]), max_size=40), st.data()
)
def test_every_byte_once_however_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], data: st.DataObject
) -> None:
    """Appended in any pieces and read with any chunk, short lines come out byte for byte."""
    path = tmp_path_factory.mktemp("log") / "x.txt"
    path.touch()
    reader = LogReader(str(path), chunk_bytes=data.draw(st.integers(1, 50)))
    got = b""
    for piece in pieces:
        with open(path, "ab") as log:
            log.write(piece)
        if data.draw(st.booleans()):
            got += b"".join(block.payload for block in reader.blocks())
        if data.draw(st.integers(0, 4)) == 0:
            opened = reader.take_open()
            got += opened.payload if opened else b""
    assert got + read_all(reader) == b"".join(pieces)


def test_long_line_is_capped_and_the_next_is_whole(tmp_path: Path) -> None:
    """A line over the limit shows its start and an ellipsis; memory stays small, and the next line is right."""
    path = tmp_path / "x.txt"
    with open(path, "wb") as log:
        for _ in range(50):
            log.write(b"y" * 1_000_000)
        log.write(b"\nnext\n")
    tracemalloc.start()
    first, second = LogReader(str(path)).blocks()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert first.payload == b"y" * LINE_LIMIT_BYTES + ELLIPSIS + b"\n"
    assert second.payload == b"next\n" and peak < 2_000_000


def test_long_progress_bar_keeps_its_last_state(tmp_path: Path) -> None:
    """Of a progress bar longer than the limit the last state remains, not the first."""
    path = tmp_path / "x.txt"
    path.write_bytes(b"".join(b"\r%6d of 100000" % number for number in range(100_001)) + b"\r\nend\n")
    lines = b"".join(block.payload for block in LogReader(str(path)).blocks()).splitlines(keepends=True)
    assert b"".join(lines[-3:]).replace(b"\r", b"").endswith(b"100000 of 100000\nend\n")


@pytest.mark.parametrize("length", [LINE_LIMIT_BYTES - 1, LINE_LIMIT_BYTES, LINE_LIMIT_BYTES + 1, CHUNK_BYTES * 2])
def test_lengths_around_the_limit(tmp_path: Path, length: int) -> None:
    """A line is cut exactly where it is longer than the limit."""
    path = tmp_path / "x.txt"
    path.write_bytes(b"z" * length + b"\n")
    payload = b"".join(block.payload for block in LogReader(str(path)).blocks())
    whole = b"z" * min(length, LINE_LIMIT_BYTES)
    assert payload == whole + (ELLIPSIS if length > LINE_LIMIT_BYTES else b"") + b"\n"


def test_open_line_is_handed_out_once_and_completed(tmp_path: Path) -> None:
    """An unfinished line comes once; what follows is a continuation."""
    path = tmp_path / "x.txt"
    path.write_bytes(b"Name? ")
    reader = LogReader(str(path))
    assert list(reader.blocks()) == []
    opened = reader.take_open()
    assert opened and (opened.payload, opened.is_open, reader.take_open()) == (b"Name? ", True, None)
    with open(path, "ab") as log:
        log.write(b"Ada\nnext\n")
    blocks = list(reader.blocks())
    assert [(block.payload, block.is_continuation) for block in blocks] == [(b"Ada\n", True), (b"next\n", False)]


@pytest.mark.parametrize("content", [b"new\n", b"other and longer than before\n"])
def test_emptied_log_is_read_anew(tmp_path: Path, content: bytes) -> None:
    """A log that was emptied is read from its start, also where it has grown past the place by then."""
    path = tmp_path / "x.txt"
    path.write_bytes(b"before\nhalf")
    reader = LogReader(str(path))
    list(reader.blocks())
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))
    assert [block.payload for block in reader.blocks()] == [b"half", content]
