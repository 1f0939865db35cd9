"""The parts of images that this machine keeps to ship them to nodes: of which images, and which nobody needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sidecar.contract import publish
from sidecar.contract.stores import LayersLayout

KIND = "parts"
# The key of what belongs to no image: a controller was killed while it packed one.
_LOOSE = "unfinished"


def list_parts(layout: LayersLayout, *, is_needed: Callable[[str | None], bool]) -> Iterator[dict[str, Any]]:
    """One record an image: kind, key, name, size_bytes, created_utc, is_used, id; the last is what belongs to none.

    A part of several images counts for the first. `is_needed` is asked with the image's id, None for none.
    """
    counted: set[str] = set()
    for path in _described(layout):
        own = _parts_of(path) - counted
        counted |= own
        found = _record(path.stem, [layout.blob(part) for part in own], at=path)
        yield {**found, "is_used": is_needed(found["id"])}
    loose = _loose(layout)
    if loose:
        newest = max(loose, key=_changed_at)
        yield {**_record(_LOOSE, loose, at=newest), "is_used": is_needed(None)}


def remove_parts(layout: LayersLayout, key: str) -> None:
    """Removes what only the image with that key needs. Raises OSError."""
    if key == _LOOSE:
        paths = _loose(layout)
    else:
        others = (_parts_of(path) for path in _described(layout) if path.stem != key)
        paths = [layout.blob(part) for part in _parts_of(layout.image(key)).difference(*others)]
        # First of all: without its description an image is packed anew, whatever of it is still there.
        layout.image(key).unlink(missing_ok=True)
    for path in paths:
        path.unlink(missing_ok=True)


def _record(key: str, paths: list[Path], *, at: Path) -> dict[str, Any]:
    return {
        "kind": KIND,
        "key": key,
        "name": "kept for nodes",
        "size_bytes": sum(_size(path) for path in paths),
        "created_utc": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(_changed_at(at))),
        "id": None if key == _LOOSE else f"sha256:{key}",
    }


def _described(layout: LayersLayout) -> list[Path]:
    folder = layout.image("").parent
    return sorted(folder.glob("*.json")) if folder.is_dir() else []


def _parts_of(path: Path) -> set[str]:
    try:
        record = publish.read_record(path) or {"config": [], "layers": []}
        return {str(part[0]) for part in (record["config"], *record["layers"]) if part}
    except (ValueError, KeyError, TypeError, IndexError):
        return set()  # Nobody can ship it: it is packed anew.


def _loose(layout: LayersLayout) -> list[Path]:
    named = {part for path in _described(layout) for part in _parts_of(path)}
    blobs = [path for path in _files(layout.blobs) if path.name not in named]
    return blobs + _files(layout.incoming)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_file()] if folder.is_dir() else []


def _size(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512
    except FileNotFoundError:  # Another process has just removed it.
        return 0


def _changed_at(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return time.time()
