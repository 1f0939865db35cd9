"""Frames on the one channel between a controller and a node's agent.

    magic "sR" | version u8 | kind u8 | stream u32 | generation u32 | offset u64 | length u32 | crc32 u32 | payload

The checksum covers header and payload. A stream is a file of bytes: the receiver's length is the offset it wants next.
Frames from a node are untrusted: the length is checked before anything is allocated.

| kind | from | what it says |
|---|---|---|
| HELLO | agent | who I am; the first frame of every link |
| PLAN, ORDER | controller | what is to be done; ACCEPTED or PROBLEM is the answer |
| FILE | agent | stream `stream` is the file {path, mode} of the run folder |
| WANT | controller | send `stream` from `offset` on, as `generation`; {tail_bytes, tail_sha256} prove what is there |
| DATA | agent | bytes of `stream` at `offset` |
| RESTART | agent | what you have of `stream` is not how the file goes on: it was truncated, replaced or rewritten |
| ACK | controller | `offset` bytes of DATA have been taken on this link, so many more may come |
| NEED, LACK | controller, agent | {contents: [[sha256, size]]}; of these the node lacks [[sha256, bytes it has]] |
| BLOB | controller | bytes of the content whose number in NEED is `stream`, at `offset` |
| PING, PONG | controller, agent | are you there; PONG: both clocks of the node, whether its disk is full |
"""

from __future__ import annotations

import enum
import json
import struct
import zlib
from typing import Any, Dict, Iterator, Mapping, NamedTuple, Optional, Protocol

_HEADER = struct.Struct(">2sBBIIQI")
_CHECKSUM = struct.Struct(">I")
_MAGIC = b"sR"
HEADER_BYTES = _HEADER.size + _CHECKSUM.size

PROTOCOL_VERSION = 1
# Too small: many frames for one log. Too large: memory for a hostile peer, and status frames wait behind data.
PAYLOAD_LIMIT = 1024 * 1024
EVENTS_STREAM = 0
# Contents from the first number on are parts of an image, from the second on those of data sets, below both those of
# the snapshot; `of` says the same in JSON.
IMAGE_STREAMS = 1 << 30
INPUT_STREAMS = 1 << 31
OF_IMAGE = "image"
OF_INPUTS = "inputs"
# How much of what is there proves, by its hash, that it is the beginning of the same file: more would be read twice,
# less could agree by chance.
TAIL_BYTES = 64 * 1024


class FrameKind(enum.IntEnum):
    """What a frame means; unknown kinds are an error, so both sides first compare versions in HELLO."""

    HELLO = 1
    PLAN = 2
    ORDER = 3
    ACCEPTED = 4
    WANT = 5
    DATA = 6
    PING = 7
    PONG = 8
    PROBLEM = 9
    FILE = 10
    RESTART = 11
    ACK = 12
    NEED = 13
    LACK = 14
    BLOB = 15


class BrokenFrame(Exception):
    """The bytes are no frame of ours: the link is closed and opened again."""


class Frame(NamedTuple):
    """One frame; `payload` is JSON for every kind but DATA."""

    kind: FrameKind
    payload: bytes = b""
    stream: int = 0
    generation: int = 0
    offset: int = 0

    @property
    def body(self) -> Dict[str, Any]:
        """The payload as a JSON object. Raises BrokenFrame where it is none."""
        try:
            value = json.loads(self.payload)
        except (ValueError, RecursionError) as error:
            raise BrokenFrame(f"{self.kind.name} does not carry JSON") from error
        if not isinstance(value, dict):
            raise BrokenFrame(f"{self.kind.name} does not carry an object")
        return value


def json_frame(kind: FrameKind, body: Mapping[str, Any]) -> Frame:
    """A frame whose payload is `body` as JSON."""
    return Frame(kind, json.dumps(body, separators=(",", ":")).encode("ascii"))


def encode(frame: Frame) -> bytes:
    """The bytes of `frame` on the wire. Raises ValueError for a payload over the limit."""
    return encode_head(frame) + frame.payload


def encode_head(frame: Frame) -> bytes:
    """What goes in front of the payload; for a writer that need not copy that. Raises ValueError as `encode` does."""
    if len(frame.payload) > PAYLOAD_LIMIT:
        raise ValueError(f"a frame carries at most {PAYLOAD_LIMIT} bytes, not {len(frame.payload)}")
    header = _HEADER.pack(
        _MAGIC, PROTOCOL_VERSION, frame.kind, frame.stream, frame.generation, frame.offset, len(frame.payload)
    )
    checksum = zlib.crc32(frame.payload, zlib.crc32(header))
    return header + _CHECKSUM.pack(checksum)


class ByteReader(Protocol):
    """Whatever gives exactly as many bytes as asked for, or fewer at the end."""

    def read(self, size: int, /) -> bytes:
        """`size` bytes, or fewer at the end."""


def read_frame(stream: ByteReader) -> Optional[Frame]:
    """The next frame; None at a clean end between frames.

    Raises BrokenFrame for foreign bytes, a wrong checksum, an end inside a frame, or another protocol version.
    """
    head = stream.read(HEADER_BYTES)
    if not head:
        return None
    if len(head) < HEADER_BYTES:
        raise BrokenFrame("the link ended inside a frame's header")
    length = _payload_length(head)
    payload = stream.read(length) if length else b""
    if len(payload) < length:
        raise BrokenFrame("the link ended inside a frame")
    return _decode(head, payload)


class FrameBuffer:
    """Cuts bytes that come in pieces into frames; for a side that must never wait for the rest of one."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, content: bytes) -> Iterator[Frame]:
        """The frames that are whole with `content`. Raises BrokenFrame as `read_frame` does."""
        self._bytes += content
        while len(self._bytes) >= HEADER_BYTES:
            head = bytes(self._bytes[:HEADER_BYTES])
            end = HEADER_BYTES + _payload_length(head)
            if len(self._bytes) < end:
                return
            payload = bytes(self._bytes[HEADER_BYTES:end])
            del self._bytes[:end]
            yield _decode(head, payload)


def _payload_length(head: bytes) -> int:
    magic, version, _, _, _, _, length = _HEADER.unpack_from(head)
    if magic != _MAGIC:
        raise BrokenFrame("foreign bytes on the link")
    if version != PROTOCOL_VERSION:
        raise BrokenFrame(f"the other side speaks version {version}, this one {PROTOCOL_VERSION}")
    if length > PAYLOAD_LIMIT:
        raise BrokenFrame(f"a frame announces {length} bytes")
    return int(length)


def _decode(head: bytes, payload: bytes) -> Frame:
    _, _, kind, number, generation, offset, _ = _HEADER.unpack_from(head)
    if zlib.crc32(payload, zlib.crc32(head[: _HEADER.size])) != _CHECKSUM.unpack_from(head, _HEADER.size)[0]:
        raise BrokenFrame("a frame's checksum is wrong")
    try:
        return Frame(FrameKind(kind), payload, number, generation, offset)
    except ValueError as error:
        raise BrokenFrame(f"unknown frame kind {kind}") from error
