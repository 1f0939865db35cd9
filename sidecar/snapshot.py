"""Lays a snapshot out on a node: the source folder as it was at submit, every content checked against its hash."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import List, Set

from sidecar.contract import publish, snapshot_manifest
from sidecar.contract.snapshot_manifest import Entry
from sidecar.contract.stores import SnapshotsLayout

_CHUNK_BYTES = 1024 * 1024


def lay_out(store: Path, snapshot_id: str, destination: Path) -> int:
    """Restores the snapshot into `destination` (made if missing) and returns how many files and links were written.

    May be repeated after a crash: what it wrote before is written again. Other files in `destination` stay. Nothing
    is ever written through a link. Raises ValueError where the store lacks the snapshot, is damaged, or holds an
    unsafe path; OSError (a full disk, say) passes.
    """
    layout = SnapshotsLayout(store)
    entries = _read_manifest(layout, snapshot_id)
    root = os.fspath(destination)
    os.makedirs(root, exist_ok=True)
    made: Set[str] = set()
    written = 0
    for entry in entries:
        path: str = entry["path"]
        for folder in snapshot_manifest.ancestors(path):
            _make_folder(root, folder, made)
        if "dir" in entry:
            _make_folder(root, path, made)
            continue
        place = os.path.join(root, path)
        _clear(place)
        if "link" in entry:
            os.symlink(entry["link"], place)
        else:
            _write_file(layout, entry, place)
        written += 1
    return written


def _read_manifest(layout: SnapshotsLayout, snapshot_id: str) -> List[Entry]:
    try:
        content = layout.manifest(snapshot_id).read_bytes()
    except FileNotFoundError as error:
        raise ValueError(f"the store {layout.root} has no such snapshot") from error
    if snapshot_manifest.identify(content) != snapshot_id:
        raise ValueError(f"the manifest {layout.manifest(snapshot_id)} is damaged: its hash is not the snapshot's id")
    return snapshot_manifest.decode(content)


def _make_folder(root: str, folder: str, made: Set[str]) -> None:
    if folder in made:
        return
    place = os.path.join(root, folder)
    try:
        os.mkdir(place)
    except FileExistsError:
        if not stat.S_ISDIR(os.lstat(place).st_mode):
            raise ValueError(f"{place} should be a folder, but something else lies there") from None
    made.add(folder)


def _clear(place: str) -> None:
    try:
        os.unlink(place)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):
        # Linux says EISDIR for a folder, POSIX EPERM.
        if stat.S_ISDIR(os.lstat(place).st_mode):
            raise ValueError(f"{place} should be a file, but a folder lies there") from None
        raise


def _write_file(layout: SnapshotsLayout, entry: Entry, place: str) -> None:
    source = layout.object(entry["sha256"])
    # The umask decides the rest, as it would for a file the user makes.
    mode = 0o777 if entry["mode"] == snapshot_manifest.EXECUTABLE else 0o666
    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise ValueError(f"the store lacks the content of {entry['path']!r} ({source})") from error
    try:
        sha256 = _copy(descriptor, place, mode)
    finally:
        os.close(descriptor)
    if sha256 != entry["sha256"]:
        raise ValueError(f"the content of {entry['path']!r} is damaged in the store; remove {source} and submit again")


def _copy(source: int, place: str, mode: int) -> str:
    """Writes a new file at `place` and returns the sha256 of what was written."""
    digest = hashlib.sha256()
    target = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    try:
        while chunk := os.read(source, _CHUNK_BYTES):
            digest.update(chunk)
            publish.write_all(target, chunk)
    finally:
        os.close(target)
    return digest.hexdigest()
