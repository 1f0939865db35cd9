"""Frames: what is sent arrives, and nothing else is ever taken for a frame."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.contract.frames import PAYLOAD_LIMIT, BrokenFrame, Frame, FrameKind, encode, read_frame

_FRAMES = st.builds(
    Frame,
    kind=st.sampled_from(FrameKind),
    payload=st.binary(max_size=300),
    stream=st.integers(0, 2**32 - 1),
    generation=st.integers(0, 2**32 - 1),
    offset=st.integers(0, 2**64 - 1),
)


@given(st.lists(_FRAMES, max_size=5))
def test_frames_arrive_as_they_were_sent(frames: list[Frame]) -> None:
    """Any frames, one after the other, then a clean end."""
    stream = io.BytesIO(b"".join(map(encode, frames)))
    assert [read_frame(stream) for _ in frames] == frames
    assert read_frame(stream) is None


@given(_FRAMES, st.data())
def test_a_flipped_bit_is_noticed(frame: Frame, data: st.DataObject) -> None:
    """Whatever bit changes on the way, no frame comes out (F12)."""
    wire = bytearray(encode(frame))
    place = data.draw(st.integers(0, len(wire) - 1))
    wire[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(BrokenFrame):
        read_frame(io.BytesIO(bytes(wire)))


@given(_FRAMES, st.data())
def test_a_cut_frame_is_noticed(frame: Frame, data: st.DataObject) -> None:
    """A link that ends inside a frame is broken, not finished."""
    wire = encode(frame)
    with pytest.raises(BrokenFrame):
        read_frame(io.BytesIO(wire[: data.draw(st.integers(1, len(wire) - 1))]))


@given(st.binary(min_size=28, max_size=400))
def test_foreign_bytes_raise_and_allocate_nothing(content: bytes) -> None:
    """Garbage is refused before its length is believed."""
    with pytest.raises(BrokenFrame):
        read_frame(io.BytesIO(content))


def test_a_payload_over_the_limit_is_not_sent() -> None:
    """The sender keeps the limit that the receiver insists on."""
    with pytest.raises(ValueError, match="at most"):
        encode(Frame(FrameKind.DATA, b"x" * (PAYLOAD_LIMIT + 1)))
