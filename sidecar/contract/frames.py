"""Frames on the one channel between a controller and a node's agent.

    magic "sR" | version u8 | kind u8 | stream u32 | generation u32 | offset u64 | length u32 | crc32 u32 | payload

The checksum covers header and payload. A stream is a file of bytes: the receiver's length is the offset it wants next.
Frames from a node are untrusted: the length is checked before anything is allocated.
"""

from __future__ import annotations

import enum
import json
import struct
import zlib
from typing import Any, Dict, Mapping, NamedTuple, Optional, Protocol

_HEADER = struct.Struct(">2sBBIIQI")
_CHECKSUM = struct.Struct(">I")
_MAGIC = b"sR"

PROTOCOL_VERSION = 1
# Too small: many frames for one log. Too large: memory for a hostile peer, and status frames wait behind data.
PAYLOAD_LIMIT = 1024 * 1024
EVENTS_STREAM = 0


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
        except ValueError as error:
            raise BrokenFrame(f"{self.kind.name} does not carry JSON") from error
        if not isinstance(value, dict):
            raise BrokenFrame(f"{self.kind.name} does not carry an object")
        return value


def json_frame(kind: FrameKind, body: Mapping[str, Any]) -> Frame:
    """A frame whose payload is `body` as JSON."""
    return Frame(kind, json.dumps(body, separators=(",", ":")).encode("ascii"))


def encode(frame: Frame) -> bytes:
    """The bytes of `frame` on the wire. Raises ValueError for a payload over the limit."""
    if len(frame.payload) > PAYLOAD_LIMIT:
        raise ValueError(f"a frame carries at most {PAYLOAD_LIMIT} bytes, not {len(frame.payload)}")
    header = _HEADER.pack(
        _MAGIC, PROTOCOL_VERSION, frame.kind, frame.stream, frame.generation, frame.offset, len(frame.payload)
    )
    checksum = zlib.crc32(frame.payload, zlib.crc32(header))
    return header + _CHECKSUM.pack(checksum) + frame.payload


class ByteReader(Protocol):
    """Whatever gives exactly as many bytes as asked for, or fewer at the end."""

    def read(self, size: int, /) -> bytes:
        """`size` bytes, or fewer at the end."""


def read_frame(stream: ByteReader) -> Optional[Frame]:
    """The next frame; None at a clean end between frames.

    Raises BrokenFrame for foreign bytes, a wrong checksum, an end inside a frame, or another protocol version.
    """
    head = stream.read(_HEADER.size + _CHECKSUM.size)
    if not head:
        return None
    if len(head) < _HEADER.size + _CHECKSUM.size:
        raise BrokenFrame("the link ended inside a frame's header")
    magic, version, kind, number, generation, offset, length = _HEADER.unpack_from(head)
    if magic != _MAGIC:
        raise BrokenFrame("foreign bytes on the link")
    if version != PROTOCOL_VERSION:
        raise BrokenFrame(f"the other side speaks version {version}, this one {PROTOCOL_VERSION}")
    if length > PAYLOAD_LIMIT:
        raise BrokenFrame(f"a frame announces {length} bytes")
    payload = stream.read(length) if length else b""
    if len(payload) < length:
        raise BrokenFrame("the link ended inside a frame")
    if zlib.crc32(payload, zlib.crc32(head[: _HEADER.size])) != _CHECKSUM.unpack_from(head, _HEADER.size)[0]:
        raise BrokenFrame("a frame's checksum is wrong")
    try:
        return Frame(FrameKind(kind), payload, number, generation, offset)
    except ValueError as error:
        raise BrokenFrame(f"unknown frame kind {kind}") from error
