"""Knows the data sets of runs on other machines: lists them at submit, and hashes them only once a node lacks them.

Nothing is copied: a data set is sent from where it lies. A file is hashed once, and again when its place, inode, size
or time of change is another one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import MachineError
from sidecar.contract import publish, snapshot_manifest
from sidecar.contract.input_listing import ListedFile, Listing, decode
from sidecar.contract.layout import WorkspaceLayout
from sidecar.contract.stores import InputsLayout

if TYPE_CHECKING:
    import sqlite3

_CHUNK_BYTES = 1024 * 1024
# One thread reads as fast as most disks; more help where a network is between.
_THREADS = 4
# A file that was changed later than this before it is hashed may change again without its time of change showing it.
_SETTLED_NS = 2 * 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A data set as it was listed."""

    id: str
    file_count: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashed:
    """A data set with its contents: the id of its manifest, and a file here for every content."""

    id: str
    manifest: Path
    contents: dict[str, tuple[Path, ListedFile]]


class Inputs:
    """The store of data sets of one workspace, shared by any number of processes."""

    def __init__(self, workspace: WorkspaceLayout) -> None:
        self._layout = InputsLayout.of(workspace.root.absolute())

    def listing_path(self, listing_id: str) -> Path:
        """The file that has the listing."""
        return self._layout.listing(listing_id)

    def read(self, listing_id: str) -> Listing:
        """The listing with that id. Raises MachineError where it is not there any more."""
        try:
            return decode(self._layout.listing(listing_id).read_bytes())
        except (OSError, ValueError) as error:
            raise MachineError(f"cannot read the listing of a data set: {error}") from error

    def list(self, path: str) -> Listed:
        """Keeps what the file or folder at `path` is now: names, sizes, times. No file is opened.

        Links are followed; what is no file is left out. Raises OSError where a folder cannot be read, or the store not
        be written.
        """
        if os.path.isdir(path):
            files, folders = _walk(path)
            listing = Listing(path, None, files, folders)
        else:
            root, name = os.path.split(path)
            listing = Listing(root, name, [_listed(name, os.stat(path))], [])
        content = listing.encode()
        listing_id = hashlib.sha256(content).hexdigest()
        _keep(self._layout.listing(listing_id), content)
        return Listed(id=listing_id, file_count=len(listing.files), size_bytes=listing.size_bytes)

    def hash(self, listing_id: str, is_off: Callable[[], bool]) -> Hashed:
        """The contents of a listed data set; takes as long as reading what was never hashed.

        Raises MachineError where a file is not what was listed, OSError where the store cannot be written.
        """
        listing, begun_ns = self.read(listing_id), time.time_ns()
        files = {os.path.join(listing.root, file.path): file for file in listing.files}
        with _HashCache(self._layout.hashes) as cache:
            hashes = cache.read(files)
            new = _hash_all({path: file for path, file in files.items() if path not in hashes}, is_off)
            cache.write(new, files, begun_ns=begun_ns)
        hashes.update(new)
        entries: list[snapshot_manifest.Entry] = [{"path": folder, "dir": True} for folder in listing.folders]
        contents = {}
        for path, file in files.items():
            about = {"mode": snapshot_manifest.PLAIN, "size": file.size, "sha256": hashes[path]}
            entries.append({"path": file.path, **about})
            contents[hashes[path]] = Path(path), file
        content = snapshot_manifest.encode(entries)
        set_id = snapshot_manifest.identify(content)
        _keep(self._layout.manifest(set_id), content)
        return Hashed(id=set_id, manifest=self._layout.manifest(set_id), contents=contents)


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    publish.create_once(path, content, mode=0o400)


def _walk(root: str) -> tuple[list[ListedFile], list[str]]:
    """All files below `root`, and the empty folders."""
    files: list[ListedFile] = []
    folders: list[str] = []
    status = os.stat(root)
    waiting: list[tuple[str, tuple[tuple[int, int], ...]]] = [("", ((status.st_dev, status.st_ino),))]
    while waiting:
        folder, above = waiting.pop()
        is_empty = True
        with os.scandir(os.path.join(root, folder)) as entries:
            for entry in entries:
                is_empty = False
                path = f"{folder}/{entry.name}" if folder else entry.name
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    continue  # A link to nothing.
                own = status.st_dev, status.st_ino
                if stat.S_ISREG(status.st_mode):
                    files.append(_listed(path, status))
                elif stat.S_ISDIR(status.st_mode) and own not in above:  # Else a link to where it lies itself.
                    waiting.append((path, (*above, own)))
        if is_empty and folder:
            folders.append(folder)
    return files, folders


def _listed(path: str, status: os.stat_result) -> ListedFile:
    return ListedFile(path, status.st_size, status.st_mtime_ns)


def _hash_all(files: Mapping[str, ListedFile], is_off: Callable[[], bool]) -> dict[str, str]:
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(_THREADS)
    try:
        return dict(zip(files, pool.map(lambda path: _hash(path, files[path], is_off), files), strict=True))
    finally:
        pool.shutdown(cancel_futures=True)


def _hash(path: str, file: ListedFile, is_off: Callable[[], bool]) -> str:
    digest = hashlib.sha256()
    try:
        with open(path, "rb", buffering=0) as stream:
            _check(path, file, os.fstat(stream.fileno()))
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
                if is_off():
                    raise MachineError("the data sets are not wanted any more")
            _check(path, file, os.fstat(stream.fileno()))
    except OSError as error:
        raise MachineError(f"{path} cannot be read: {error.strerror}") from error
    return digest.hexdigest()


def _check(path: str, file: ListedFile, status: os.stat_result) -> None:
    if (status.st_size, status.st_mtime_ns) != (file.size, file.mtime_ns):
        raise MachineError(
            f"{path} changed after the run was submitted", hint="submit again once nothing writes to the data any more"
        )


class _HashCache:
    """Hashes by path, inode, size and time of change, in a file; where that cannot be used, everything is hashed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def __enter__(self) -> _HashCache:
        import sqlite3

        with contextlib.suppress(sqlite3.Error, OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            connection = sqlite3.connect(self._path, timeout=10)
            connection.execute("CREATE TABLE IF NOT EXISTS hashes (path BLOB PRIMARY KEY, signature TEXT, sha256 TEXT)")
            self._connection = connection
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()

    def read(self, files: Mapping[str, ListedFile]) -> dict[str, str]:
        """The hashes of those files that have not changed since they were hashed, nor since they were listed."""
        import sqlite3

        found: dict[str, str] = {}
        if self._connection is None:
            return found
        with contextlib.suppress(sqlite3.Error):
            for path, signature in _signatures(files):
                row = self._connection.execute(
                    "SELECT sha256 FROM hashes WHERE path = ? AND signature = ?", (os.fsencode(path), signature)
                ).fetchone()
                if row is not None:
                    found[path] = str(row[0])
        return found

    def write(self, hashes: Mapping[str, str], files: Mapping[str, ListedFile], *, begun_ns: int) -> None:
        """Notes the hashes of files that had not been written to for a moment when hashing began."""
        import sqlite3

        settled = {path: files[path] for path in hashes if begun_ns - files[path].mtime_ns > _SETTLED_NS}
        rows = [(os.fsencode(path), signature, hashes[path]) for path, signature in _signatures(settled)]
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error), self._connection:
                self._connection.executemany("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?)", rows)


def _signatures(files: Mapping[str, ListedFile]) -> Iterator[tuple[str, str]]:
    """What tells whether a file is still the same; nothing for one that is not as it was listed."""
    for path, file in files.items():
        with contextlib.suppress(OSError):
            status = os.stat(path)
            if (status.st_size, status.st_mtime_ns) == (file.size, file.mtime_ns):
                numbers = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
                yield path, ":".join(map(str, numbers))
