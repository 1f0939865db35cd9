"""The seal of a run: every file of its folder with size and sha256, and whether it is complete."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.history import seal_progress
from sidecar.contract import publish
from sidecar.contract.layout import STATE, RunLayout

_CHUNK_BYTES = 1024 * 1024
# hashlib lets other threads run while it works; more threads than cores only cost memory.
_THREADS = 4
# How long hashing goes on once somebody wants the end. Shorter: a canceled run's outputs have no sha256. Longer: they
# wait for `runner cancel`.
_PATIENCE_S = 5.0
# How often is told how far it is; what is done within this is never told.
_TELL_S = 1.0
_NAMED_PROBLEMS = 5


class Patience:
    """Says when hashing has taken too long: never, unless somebody wants the run to end."""

    def __init__(self, is_end_wanted: Callable[[], bool], *, limit_s: float = _PATIENCE_S) -> None:
        self._is_end_wanted = is_end_wanted
        self._limit_s = limit_s
        self._until: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more is to be hashed."""
        if self._until is None and self._is_end_wanted():
            self._until = time.monotonic() + self._limit_s
        return self._until is not None and time.monotonic() >= self._until


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One file as it stands in the manifest; `sha256` is None where nobody can say."""

    path: str
    size_bytes: int
    sha256: str | None
    why: str | None = None

    def to_record(self) -> dict[str, Any]:
        record = {"path": self.path, "size_bytes": self.size_bytes, "sha256": self.sha256}
        return {**record, "is_complete": self.why is None, **({} if self.why is None else {"why": self.why})}


def seal(layout: RunLayout, *, incomplete: Mapping[str, str], patience: Patience) -> tuple[str, ...]:
    """Writes manifest.json over every file but the run record, the manifest, and `.state/`.

    `incomplete` says why a path is not complete, there or not. Files are hashed in parallel; a file that grows
    meanwhile is hashed up to the size it had. What cannot be read has no sha256: returns a sentence for each.
    """
    problems: list[str] = []
    sizes = _sizes(layout, problems)
    progress = seal_progress.Progress(layout, total_bytes=sum(sizes.values()))
    hashing = _Hashing(layout.root, patience, progress)
    with ThreadPoolExecutor(max_workers=min(_THREADS, os.cpu_count() or 1)) as pool:
        futures = [pool.submit(hashing.entry, path, sizes[path]) for path in sorted(sizes)]
        while wait(futures, timeout=_TELL_S).not_done:
            progress.tell()
    found = {entry.path: entry for future in futures if (entry := future.result()) is not None}
    problems += [f"{entry.path}: {entry.why}" for entry in found.values() if entry.why is not None]
    for path, why in incomplete.items():
        found[path] = dataclasses.replace(found.get(path) or _Entry(path=path, size_bytes=0, sha256=None), why=why)
    _write(layout, [found[path] for path in sorted(found)])
    progress.end()
    return _shortened(problems)


def _write(layout: RunLayout, entries: list[_Entry]) -> None:
    layout.manifest.parent.mkdir(parents=True, exist_ok=True)
    lines = [publish.to_json(entry.to_record()).decode("utf-8") for entry in entries]
    content = '{"version":1,"files":[\n' + ",\n".join(lines) + "\n]}\n"
    publish.write_whole(layout.manifest, content.encode("utf-8"))


def _sizes(layout: RunLayout, problems: list[str]) -> dict[Path, int]:
    """The size of every file that is sealed; a folder that cannot be read is a problem."""
    skipped = {layout.manifest, layout.record}
    found = {}

    def note(error: OSError) -> None:
        problems.append(f"{os.path.relpath(error.filename, layout.root)}/: cannot be read: {error.strerror}")

    for folder, folder_names, file_names in os.walk(layout.root, onerror=note):
        if Path(folder) == layout.root and STATE in folder_names:
            folder_names.remove(STATE)
        for name in file_names:
            path = Path(folder, name)
            if path not in skipped and not path.is_symlink() and path.is_file():
                found[path] = _size(path)
    return found


def _size(path: Path) -> int:
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0  # Removed a moment ago: then it is no entry either.


class _Hashing:
    """Hashes the files of one run folder; used from several threads."""

    def __init__(self, root: Path, patience: Patience, progress: seal_progress.Progress) -> None:
        self._root = root
        self._patience = patience
        self._progress = progress

    def entry(self, path: Path, size: int) -> _Entry | None:
        """The entry of one file; None where it is not there any more."""
        relative = str(path.relative_to(self._root))
        try:
            # Whatever stands there now: no link is followed, and no FIFO is waited for.
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb", buffering=0) as stream:
                size = os.fstat(descriptor).st_size
                sha256 = self._hash(stream.read, size)
        except FileNotFoundError:
            return None
        except OSError as error:
            return _Entry(path=relative, size_bytes=size, sha256=None, why=f"cannot be read: {error.strerror}")
        why = "its sha256 was not waited for, since the run was canceled" if sha256 is None else None
        return _Entry(path=relative, size_bytes=size, sha256=sha256, why=why)

    def _hash(self, read: Callable[[int], bytes], size: int) -> str | None:
        digest = hashlib.sha256()
        remaining = size
        while remaining and (chunk := read(min(_CHUNK_BYTES, remaining))):
            digest.update(chunk)
            remaining -= len(chunk)
            self._progress.add(len(chunk))
            if remaining and self._patience.is_over:
                return None
        return digest.hexdigest()


def _shortened(problems: list[str]) -> tuple[str, ...]:
    named, rest = problems[:_NAMED_PROBLEMS], len(problems) - _NAMED_PROBLEMS
    return (*named, *([f"and {rest} more files that are not complete: see manifest.json"] if rest > 0 else []))
