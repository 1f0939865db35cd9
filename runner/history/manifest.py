"""The seal of a run: every file of its folder with size and sha256, and whether it is complete."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sidecar.contract import publish
from sidecar.contract.layout import STATE, RunLayout

_CHUNK_BYTES = 1024 * 1024
# hashlib lets other threads run while it works; more threads than cores only cost memory.
_THREADS = 4


def seal(layout: RunLayout, *, incomplete: Mapping[str, str]) -> None:
    """Writes manifest.json over every file but the run record, the manifest, and `.state/`.

    `incomplete` says why a path is not complete. Files are hashed in parallel; a file that grows meanwhile is
    hashed up to the size it had, and told as such.
    """
    paths = sorted(_files(layout))
    with ThreadPoolExecutor(max_workers=min(_THREADS, os.cpu_count() or 1)) as pool:
        entries = list(pool.map(lambda path: _entry(layout.root, path, incomplete), paths))
    layout.manifest.parent.mkdir(parents=True, exist_ok=True)
    lines = [publish.to_json(entry).decode("utf-8") for entry in entries]
    content = '{"version":1,"files":[\n' + ",\n".join(lines) + "\n]}\n"
    publish.write_whole(layout.manifest, content.encode("utf-8"))


def _files(layout: RunLayout) -> Iterator[Path]:
    skipped = {layout.manifest, layout.record}
    for folder, folder_names, file_names in os.walk(layout.root):
        if Path(folder) == layout.root and STATE in folder_names:
            folder_names.remove(STATE)
        for name in file_names:
            path = Path(folder, name)
            if path not in skipped and not path.is_symlink() and path.is_file():
                yield path


def _entry(root: Path, path: Path, incomplete: Mapping[str, str]) -> dict[str, Any]:
    relative = str(path.relative_to(root))
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as stream:
        size = os.fstat(stream.fileno()).st_size
        remaining = size
        while remaining and (chunk := stream.read(min(_CHUNK_BYTES, remaining))):
            digest.update(chunk)
            remaining -= len(chunk)
    why = incomplete.get(relative)
    return {
        "path": relative,
        "size_bytes": size,
        "sha256": digest.hexdigest(),
        "is_complete": why is None,
        **({} if why is None else {"why": why}),
    }
