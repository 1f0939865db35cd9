"""Has the parts of an image as files, to be shipped: kept from an earlier time, else asked of this machine's engine."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from runner.containers.engine import explained
from runner.containers.loopback_registry import LoopbackRegistry
from runner.errors import MachineError
from runner.nodes.image_shipment import Part
from sidecar.contract import publish
from sidecar.contract.stores import ARCHIVE_MANIFEST, LayersLayout

if TYPE_CHECKING:
    from docker import APIClient

_PIECE_BYTES = 1024 * 1024
_NEWS_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageParts:
    """What an image is made of; `layers` from the lowest."""

    config: Part
    layers: tuple[Part, ...]


class ImageStore:
    """Parts of images on this machine; another process may use it at the same time."""

    def __init__(self, client: APIClient, address: str, store: LayersLayout) -> None:
        self._client = client
        self._address = address
        self._store = store

    def parts(self, image_id: str, says: Callable[[str], None], is_canceled: Callable[[], bool]) -> ImageParts:
        """The parts of the image, every one of them in the store. Raises MachineError."""
        found = self._read(image_id)
        if found is not None:
            os.utime(self._store.image(_hex(image_id)))  # So that `prune --older-than` knows when it was of use.
        else:
            started = time.monotonic()
            self._store.blobs.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._store.incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
            with explained("the image cannot be taken from the engine", self._address):
                taken_bytes = self._push(image_id, is_canceled)
                if taken_bytes is None:
                    says("Packing the whole image, since the engine reaches no address of this machine")
                    taken_bytes = self._save(image_id, says, is_canceled)
            found = self._read(image_id)
            if found is None:
                raise MachineError(f"the image {image_id} cannot be taken apart")
            says(f"Packed {taken_bytes / 2**20:.1f} MiB of the image in {time.monotonic() - started:.1f} s")
        return found

    def _read(self, image_id: str) -> ImageParts | None:
        try:
            record = publish.read_record(self._store.image(_hex(image_id)))
        except ValueError:
            return None
        if record is None:
            return None
        parts = [Part(sha256=str(sha256), size=int(size)) for sha256, size in (record["config"], *record["layers"])]
        if not all(_has(self._store.blob(part.sha256), part.size) for part in parts):
            return None
        return ImageParts(config=parts[0], layers=tuple(parts[1:]))

    def _write(self, image_id: str, config: str, layers: list[str]) -> None:
        path = self._store.image(_hex(image_id))
        path.parent.mkdir(mode=0o700, exist_ok=True)
        described = [[sha256, self._store.blob(sha256).stat().st_size] for sha256 in (config, *layers)]
        publish.write_whole(path, publish.to_json({"config": described[0], "layers": described[1:]}))

    def _push(self, image_id: str, is_canceled: Callable[[], bool]) -> int | None:
        """Has the engine push it to a registry of ours; None where it does not reach that one."""
        if not (self._client.inspect_image(image_id)["RepoTags"] or ()):  # type: ignore[no-untyped-call]  # its stubs
            return None  # Without another name, taking ours away again would remove the image.
        from docker.errors import ImageNotFound

        with LoopbackRegistry(self._store) as registry:
            self._client.tag(image_id, registry.repository, "latest")
            try:
                pieces = self._client.push(registry.repository, "latest", stream=True, decode=True, auth_config={})
                for piece in pieces:
                    if is_canceled():
                        raise MachineError("packing the image was canceled")
                    if "error" in piece:
                        return None
            finally:
                with contextlib.suppress(ImageNotFound):  # Somebody took it for one that a crash had left.
                    self._client.remove_image(f"{registry.repository}:latest", noprune=True)
            if registry.manifest is None or "layers" not in registry.manifest:
                return None
            layers = [_hex(layer["digest"]) for layer in registry.manifest["layers"]]
            self._write(image_id, _hex(registry.manifest["config"]["digest"]), layers)
            return registry.taken_bytes

    def _save(self, image_id: str, says: Callable[[str], None], is_canceled: Callable[[], bool]) -> int:
        """The same out of `docker save`, which packs every layer anew."""
        links: dict[str, str] = {}
        files: dict[str, str] = {}
        texts: dict[str, bytes] = {}
        total, next_news = 0, time.monotonic() + _NEWS_S
        stream = _Joined(self._client.get_image(image_id))
        with tarfile.open(fileobj=stream, mode="r|") as archive:  # type: ignore[call-overload]  # it only reads
            for member in archive:
                if is_canceled():
                    raise MachineError("packing the image was canceled")
                if member.issym() or member.islnk():
                    links[member.name] = os.path.normpath(os.path.join(os.path.dirname(member.name), member.linkname))
                content = archive.extractfile(member) if member.isfile() else None
                if content is not None:
                    files[member.name] = self._take_in(content)
                    total += member.size
                    if member.name == ARCHIVE_MANIFEST:
                        texts[member.name] = self._store.blob(files[member.name]).read_bytes()
                if time.monotonic() >= next_news:
                    next_news = time.monotonic() + _NEWS_S
                    says(f"Packing the image: {total / 2**20:.0f} MiB so far")
        described: Mapping[str, Any] = json.loads(texts[ARCHIVE_MANIFEST])[0]
        layers = [files[links.get(name, name)] for name in described["Layers"]]
        self._write(image_id, files[described["Config"]], layers)
        for sha256 in set(files.values()) - {files[described["Config"]], *layers}:
            self._store.blob(sha256).unlink(missing_ok=True)
        return total

    def _take_in(self, content: IO[bytes]) -> str:
        digest = hashlib.sha256()
        path = self._store.incoming / f"{secrets.token_hex(8)}.save"
        with open(path, "wb") as target:
            while piece := content.read(_PIECE_BYTES):
                digest.update(piece)
                target.write(piece)
        os.replace(path, self._store.blob(digest.hexdigest()))
        return digest.hexdigest()


class _Joined:
    """Pieces of bytes as a file that can be read."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = iter(pieces)
        self._rest = b""

    def read(self, size: int = -1) -> bytes:
        """As many bytes as asked for, or fewer at the end."""
        parts, left = [], size
        while left:
            if not self._rest:
                self._rest = next(self._pieces, b"")
                if not self._rest:
                    break
            parts.append(self._rest[:left])
            self._rest = self._rest[left:]
            left -= len(parts[-1])
        return b"".join(parts)


def _has(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


def _hex(digest: str) -> str:
    return digest.rpartition(":")[2]
