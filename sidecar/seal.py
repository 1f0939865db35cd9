"""Says what a node has at the end: every file that travels, with size and sha256. Only then is a run's log complete."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path
from typing import Iterator, Optional

from sidecar.contract import publish
from sidecar.contract.layout import AZUREML_LOGS, STATE, USER_LOGS, RunLayout
from sidecar.contract.travel import FINAL_FOLDERS, SealedFile, is_sealed, may_travel

_READ_BYTES = 1024 * 1024


def write(run: RunLayout, node_id: str) -> str:
    """Seals the node's copy of the run folder; returns the sha256 of the seal itself. Durable on return.

    Nothing may be written to the copy afterwards. A file that cannot be read is sealed with the problem: it stays here.
    """
    sealed = [file for path in _paths(run.root, node_id) if (file := _seal(run.root, path)) is not None]
    lines = [publish.to_json(file.to_record()) for file in sealed]
    lines.append(publish.to_json({"count": len(sealed)}))
    run.seals.mkdir(parents=True, exist_ok=True)
    content = b"\n".join(lines) + b"\n"
    publish.write_whole(run.seal(node_id), content)
    return hashlib.sha256(content).hexdigest()


def _paths(root: Path, node_id: str) -> Iterator[str]:
    for top in (AZUREML_LOGS, USER_LOGS, *FINAL_FOLDERS, STATE):
        for folder, folder_names, file_names in os.walk(root / top):
            links = [name for name in folder_names if os.path.islink(os.path.join(folder, name))]
            for name in sorted(file_names + links):
                path = os.path.relpath(os.path.join(folder, name), root)
                if may_travel(path, node_id) and is_sealed(path):
                    yield path


def _seal(root: Path, path: str) -> Optional[SealedFile]:
    try:
        status = os.lstat(root / path)
    except FileNotFoundError:
        return None
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISLNK(status.st_mode):
        return SealedFile(path, 0, "", mode, os.readlink(root / path))
    if not stat.S_ISREG(status.st_mode):
        return None
    if not mode & stat.S_IRUSR:
        # What travels is the content; this copy's rights do not. Where that is refused, the next line says why.
        with contextlib.suppress(OSError):
            os.chmod(root / path, mode | stat.S_IRUSR)
    digest, size = hashlib.sha256(), 0
    try:
        with open(root / path, "rb", buffering=0) as stream:
            while content := stream.read(_READ_BYTES):
                digest.update(content)
                size += len(content)
    except OSError as error:
        return SealedFile(path, status.st_size, "", mode, problem=f"it cannot be read on the node: {error.strerror}")
    return SealedFile(path, size, digest.hexdigest(), mode)
