"""What has arrived on a channel: given out in order, exactly, and with an end."""

from __future__ import annotations

import random

import pytest
from paramiko.buffered_pipe import PipeTimeout

from runner.transports.ssh.pieces import Pieces


def test_any_pieces_come_out_as_one_stream() -> None:
    """Whatever the sizes of what is fed and of what is read, no byte is lost, doubled or moved."""
    chance = random.Random(11)
    content = chance.randbytes(200_000)
    pieces, fed, read = Pieces(), 0, b""
    while len(read) < len(content):
        size = chance.choice((1, 4, 100, 5000))
        pieces.feed(content[fed : fed + size])
        fed += size
        for _ in range(chance.randrange(3)):
            if pieces.read_ready():
                read += pieces.read(chance.choice((1, 4, 300, 9000)))
        if fed >= len(content):
            read += pieces.empty()
    assert read == content
    assert len(pieces) == 0


def test_an_empty_read_is_the_end() -> None:
    """What is there is read after the end was told too; only then comes the empty read."""
    pieces = Pieces()
    pieces.feed(b"last words")
    pieces.close()
    assert pieces.read(4) + pieces.read(100) == b"last words"
    assert pieces.read(1) == b""


def test_nothing_in_time() -> None:
    """A reader is not kept for longer than it asked for."""
    with pytest.raises(PipeTimeout):
        Pieces().read(1, timeout=0.01)
