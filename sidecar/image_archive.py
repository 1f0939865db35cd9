"""Puts an image together for the engine, out of the parts that were shipped to this node."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from typing import Any, BinaryIO, Callable, Dict, List, Mapping

from sidecar.contract.stores import ARCHIVE_MANIFEST, LayersLayout

_PIECE_BYTES = 1024 * 1024


class Damaged(Exception):
    """A part is not what its name says; it is gone, so that it is shipped anew."""


class _Hashed:
    """Reads a part and says at its end whether it is whole."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._stream.read(size)
        self._digest.update(piece)
        return piece

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


class _Writer(io.RawIOBase):
    def __init__(self, send: Callable[[bytes], None]) -> None:
        super().__init__()
        self._send = send

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self._send(bytes(content))
        return len(content)


def write(store: LayersLayout, image: Mapping[str, Any], send: Callable[[bytes], None]) -> None:
    """Sends the archive of `image`, without the layers that are not here: those the engine has.

    `image` has the sha256 of its `config`, those of its `layers` (None for one that was not shipped), and its `tag`.
    Raises Damaged.
    """
    names = [f"{sha256 or f'kept-{number}'}.tar" for number, sha256 in enumerate(image["layers"])]
    described = [{"Config": f"{image['config']}.json", "RepoTags": [image["tag"]], "Layers": names}]
    with tarfile.open(fileobj=_Writer(send), mode="w|", bufsize=_PIECE_BYTES) as archive:
        archive.copybufsize = _PIECE_BYTES  # type: ignore[attr-defined]  # its stubs do not know it
        _add_part(archive, store, image["config"], f"{image['config']}.json")
        for sha256, name in dict(zip(image["layers"], names)).items():
            # One that has gone was loaded for another run meanwhile.
            if sha256 is not None and store.blob(sha256).exists():
                _add_part(archive, store, sha256, name)
        content = json.dumps(described).encode()
        archive.addfile(_entry(ARCHIVE_MANIFEST, len(content)), io.BytesIO(content))


def _add_part(archive: tarfile.TarFile, store: LayersLayout, sha256: str, name: str) -> None:
    path = store.blob(sha256)
    with open(path, "rb") as stream:
        hashed = _Hashed(stream)
        archive.addfile(_entry(name, path.stat().st_size), hashed)
    if hashed.sha256 != sha256:
        path.unlink()
        raise Damaged(f"a part of the image arrived damaged: {sha256[:12]}")


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    return entry


def shared_layers(wanted: List[str], images: List[List[str]]) -> int:
    """How many of the `wanted` layers, from the bottom, some image of the engine has in the same order."""
    best = 0
    for layers in images:
        count = 0
        while count < min(len(wanted), len(layers)) and wanted[count] == layers[count]:
            count += 1
        best = max(best, count)
    return best


def forget(store: LayersLayout, image: Dict[str, Any]) -> None:
    """Removes the parts of an image that the engine has now."""
    for sha256 in {image["config"], *image["layers"]} - {None}:
        store.blob(sha256).unlink(missing_ok=True)
