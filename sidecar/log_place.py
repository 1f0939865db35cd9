"""Puts a process's log back where its readers look, once somebody removed, renamed or replaced it meanwhile.

The process writes on into the file that it was given, whatever name that has; its wrapper still holds it open:

name is gone, or another file's --> the other one becomes NAME.g1 --> link to the open file, or a copy without links
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import List

from sidecar.contract import publish

_CHUNK_BYTES = 1024 * 1024


def restore(log: int, path: Path) -> List[str]:
    """Makes `path` the file behind the descriptor `log` again; returns what was done, in words: nothing as a rule.

    Raises OSError where the folder cannot be written; may be called again.
    """
    ours = os.fstat(log)
    try:
        there = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        aside = ""
    else:
        if (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino):
            return []
        aside = _put_aside(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Only with a folder's descriptor does Python follow the name; an absolute path does not need it.
        os.link(f"/proc/self/fd/{log}", path, src_dir_fd=log, follow_symlinks=True)
    except FileNotFoundError:
        _copy(log, path)  # No name is left anywhere: the kernel gives such a file none any more.
    how = (
        f"was replaced while its process ran; what stood in its place is {aside}"
        if aside
        else "was removed or renamed while its process ran"
    )
    return [f"{path.name} {how}; it was put back with every byte that was written"]


def _put_aside(path: Path) -> str:
    """Renames what stands there to the first free of `NAME.g1`, `NAME.g2`, ...; returns that name."""
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.g{number}")):
        number += 1
    os.rename(path, aside)
    return aside.name


def _copy(log: int, path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary)  # Of a try that found no room.
    try:
        # The descriptor at hand can only be written.
        with open(f"/proc/self/fd/{log}", "rb", buffering=0) as incoming:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            outgoing = os.open(temporary, flags, 0o600)
            try:
                while chunk := incoming.read(_CHUNK_BYTES):
                    publish.write_all(outgoing, chunk)
            finally:
                os.close(outgoing)
        os.link(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def explain(error: OSError, path: Path) -> str:
    """What a person is told where `restore` cannot do it."""
    return f"{path.name} is not where it should be, and cannot be put back: {error.strerror}"
