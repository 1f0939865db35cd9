"""Takes snapshots of source folders into a store by content: what is there already is not copied again.

A content is written under `incoming/`, made durable, and only then renamed to its hash. Whatever dies on the way
leaves a file that nobody looks at, and that a later snapshot sweeps away.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.errors import SnapshotError, WorkspaceError
from runner.store.ignore_rules import read_ignore_rules
from runner.store.source_walk import BYTES_PER_MB, Findings, Found, Limits, shown, walk
from sidecar.contract import publish, snapshot_manifest
from sidecar.contract.snapshot_manifest import Entry
from sidecar.contract.stores import SnapshotsLayout

DEFAULT_LIMIT_BYTES = 300 * BYTES_PER_MB
DEFAULT_LIMIT_FILES = 2000

_CHUNK_BYTES = BYTES_PER_MB
# A file that changes is read this often. More only delays the message: a log that grows never holds still.
_ATTEMPTS = 3
_PAUSE_S = 0.05
_SWEPT_AFTER_S = 24 * 3600
# One journal commit serves all who wait for it; more threads than this gained nothing.
_SYNC_THREADS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A source folder as it was. `file_count` counts files and links; `withheld` are paths taken for secrets."""

    id: str
    file_count: int
    size_bytes: int
    withheld: tuple[str, ...] = ()


class _ChangedError(Exception):
    """The file did not hold still while it was read."""


class Snapshots:
    """The store of snapshots in one folder, shared by any number of processes."""

    def __init__(self, root: Path, *, pause: Callable[[float], None] = time.sleep) -> None:
        self._layout = SnapshotsLayout(root)
        self._pause = pause

    def take(
        self,
        source_directory: Path,
        *,
        limit_bytes: int = DEFAULT_LIMIT_BYTES,
        limit_files: int = DEFAULT_LIMIT_FILES,
        include_secrets: bool = False,
    ) -> Snapshot:
        """Keeps `source_directory` as it is now; durable on return. The same content gives the same id.

        Left out are `.git`, the workspace, what the ignore file names, and what looks like a secret unless that
        file takes it in by a `!` line. Raises SnapshotError where the folder is over a limit, holds what cannot be
        kept, or changes while it is read; WorkspaceError where the store cannot be written.
        """
        root = _resolve(source_directory)
        limits = Limits(size_bytes=limit_bytes, files=limit_files)
        findings = self._look(root, limits, include_secrets=include_secrets)
        with _Intake(self._layout) as intake:
            entries = [entry for found in findings.entries if (entry := self._entry(intake, root, found)) is not None]
            content = snapshot_manifest.encode(entries)
            snapshot_id = snapshot_manifest.identify(content)
            intake.publish(snapshot_id, content)
        return Snapshot(
            id=snapshot_id,
            file_count=sum("dir" not in entry for entry in entries),
            size_bytes=sum(entry.get("size", 0) for entry in entries),
            withheld=tuple(sorted(findings.withheld)),
        )

    def check(self, source_directory: Path, *, limit_bytes: int, limit_files: int, include_secrets: bool) -> None:
        """Raises SnapshotError where `take` would for a folder over a limit; keeps nothing."""
        limits = Limits(size_bytes=limit_bytes, files=limit_files)
        self._look(_resolve(source_directory), limits, include_secrets=include_secrets)

    def _look(self, root: str, limits: Limits, *, include_secrets: bool) -> Findings:
        return walk(
            root,
            read_ignore_rules(Path(root)),
            skipped=self._own_places(root),
            include_secrets=include_secrets,
            limits=limits,
        )

    def _own_places(self, root: str) -> frozenset[str]:
        """The store, and the workspace around it, where they lie inside the source folder: never a part of it."""
        store = os.path.realpath(self._layout.root)
        places = (os.path.relpath(place, root) for place in (store, os.path.dirname(store)))
        return frozenset(place for place in places if place != "." and place.split("/")[0] != "..")

    def _entry(self, intake: _Intake, root: str, found: Found) -> Entry | None:
        """The manifest's entry for what was found; None where it is gone by now."""
        if found.is_folder:
            return {"path": found.path, "dir": True}
        if found.target is not None:
            return {"path": found.path, "link": found.target}
        place = os.path.join(root, found.path)
        for attempt in range(_ATTEMPTS):
            if attempt:
                self._pause(_PAUSE_S)
            try:
                return {"path": found.path, **_keep_file(intake, place)}
            except _ChangedError:
                continue
            except FileNotFoundError:
                return None
            except OSError as error:
                raise SnapshotError(
                    f"{shown(place)} cannot be read: {error.strerror}",
                    hint="make it readable, or name it in .amlignore",
                ) from error
        raise SnapshotError(
            f"{shown(place)} changed each of the {_ATTEMPTS} times it was read for the snapshot",
            hint="wait until whatever writes it is done, or name it in .amlignore",
        )


class _Intake:
    """Contents on their way into the store; nothing of them shows before `publish`. What is left over is removed."""

    def __init__(self, layout: SnapshotsLayout) -> None:
        self._layout = layout
        self._folder = layout.incoming / f"{os.getpid()}.{os.urandom(4).hex()}"
        self._pending: dict[str, Path] = {}

    def __enter__(self) -> _Intake:
        _sweep(self._layout.incoming, before=time.time() - _SWEPT_AFTER_S)
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def has(self, sha256: str, size_bytes: int) -> bool:
        """Whether the content is in the store, or on its way. A power cut may leave a short one: it does not count."""
        if sha256 in self._pending:
            return True
        try:
            return os.stat(self._layout.object(sha256)).st_size == size_bytes
        except FileNotFoundError:
            return False
        except OSError as error:
            raise self._refusal(error) from error

    def add(self, sha256: str, chunks: Iterable[bytes]) -> None:
        """Writes a content down. Raises whatever `chunks` raises, and then nothing was added."""
        place = self._folder / sha256
        descriptor = self._create(place)
        try:
            for chunk in chunks:
                try:
                    publish.write_all(descriptor, chunk)
                except OSError as error:
                    raise self._refusal(error) from error
        except BaseException:
            os.unlink(place)
            raise
        finally:
            os.close(descriptor)
        self._pending[sha256] = place

    def publish(self, snapshot_id: str, manifest: bytes) -> None:
        """Makes every content durable, gives it its name, and then does the same with the manifest."""
        try:
            _sync_all(list(self._pending.values()))
            for sha256, place in self._pending.items():
                final = self._layout.object(sha256)
                final.parent.mkdir(parents=True, exist_ok=True)
                os.replace(place, final)
            path = self._layout.manifest(snapshot_id)
            if not path.exists():
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                publish.create_once(path, manifest, mode=0o400)
        except OSError as error:
            raise self._refusal(error) from error

    def _create(self, place: Path) -> int:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o400)
        except OSError as error:
            raise self._refusal(error) from error

    def _refusal(self, error: OSError) -> WorkspaceError:
        return WorkspaceError(
            f"cannot write the snapshot store {self._layout.root}: {error.strerror}",
            hint="free some space there or make it writable; nothing was started",
        )


def _resolve(source_directory: Path) -> str:
    root = os.path.realpath(source_directory)
    if not os.path.exists(root):
        raise SnapshotError(f"the source folder {source_directory} does not exist")
    if not os.path.isdir(root):
        raise SnapshotError(f"the source folder {source_directory} is not a folder")
    return root


def _keep_file(intake: _Intake, place: str) -> Entry:
    """Hashes the file, copies it unless the store has it, and makes sure that it held still meanwhile.

    Raises _ChangedError where it did not, OSError where it cannot be read.
    """
    # O_NONBLOCK: a FIFO that took the file's place since the walk must not hang us.
    descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise _ChangedError
        digest = hashlib.sha256()
        for chunk in _chunks(descriptor, before.st_size):
            digest.update(chunk)
        sha256 = digest.hexdigest()
        if not intake.has(sha256, before.st_size):
            intake.add(sha256, _same_chunks(descriptor, before.st_size, sha256))
        if _signature(os.stat(place, follow_symlinks=False)) != _signature(before):
            raise _ChangedError
    finally:
        os.close(descriptor)
    mode = snapshot_manifest.EXECUTABLE if before.st_mode & stat.S_IXUSR else snapshot_manifest.PLAIN
    return {"mode": mode, "size": before.st_size, "sha256": sha256}


def _chunks(descriptor: int, size_bytes: int) -> Iterator[bytes]:
    """The first `size_bytes` of the file, no more: a file that is written to as we read would never end."""
    offset = 0
    while offset < size_bytes:
        chunk = os.pread(descriptor, min(_CHUNK_BYTES, size_bytes - offset), offset)
        if not chunk:
            raise _ChangedError
        yield chunk
        offset += len(chunk)


def _same_chunks(descriptor: int, size_bytes: int, sha256: str) -> Iterator[bytes]:
    """As `_chunks`; raises _ChangedError at the end where the bytes are not those that gave `sha256`."""
    digest = hashlib.sha256()
    for chunk in _chunks(descriptor, size_bytes):
        digest.update(chunk)
        yield chunk
    if digest.hexdigest() != sha256:
        raise _ChangedError


def _signature(status: os.stat_result) -> tuple[int, int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_mode


def _sync_all(places: Sequence[Path]) -> None:
    """Makes the contents durable before they get their names; raises OSError where the disk could not take them."""
    if len(places) < _SYNC_THREADS:
        for place in places:
            _sync(place)
        return
    from concurrent.futures import ThreadPoolExecutor  # 10 ms to import, and most snapshots add few files

    with ThreadPoolExecutor(_SYNC_THREADS) as pool:
        for _ in pool.map(_sync, places):
            pass


def _sync(place: Path) -> None:
    descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep(incoming: Path, *, before: float) -> None:
    """Removes what crashed takers left. Best effort: what cannot be removed costs space and nothing else."""
    try:
        left = [entry.path for entry in os.scandir(incoming) if entry.stat(follow_symlinks=False).st_mtime < before]
    except OSError:
        return
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
