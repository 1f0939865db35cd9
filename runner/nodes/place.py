"""Opens files of a run folder for bytes that a node sent: never through a link, never outside the folder."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def open_folder(root: Path, path: str) -> int:
    """A descriptor of the folder that `path` (relative to `root`, checked before) lies in; made where it is missing.

    Raises OSError, ELOOP or ENOTDIR where something else than a folder is on the way.
    """
    descriptor = os.open(root, _FOLDER)
    for part in path.split("/")[:-1]:
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o700, dir_fd=descriptor)
            inner = os.open(part, _FOLDER, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = inner
    return descriptor


def open_file(root: Path, path: str, mode: int) -> int:
    """A descriptor for reading and writing; the file is made where it is missing. Raises OSError."""
    folder = open_folder(root, path)
    try:
        # Only the owner's rights and the right to run travel: a node's umask is not this machine's.
        return os.open(path.rpartition("/")[2], _FILE, 0o600 | (mode & 0o100), dir_fd=folder)
    finally:
        os.close(folder)


def put_aside(root: Path, path: str) -> str | None:
    """Renames a file to the first free of `NAME.g1`, `NAME.g2`, ...; returns that path, None where there is no file."""
    folder = open_folder(root, path)
    name = path.rpartition("/")[2]
    try:
        number = 1
        while _exists(f"{name}.g{number}", folder):
            number += 1
        os.rename(name, f"{name}.g{number}", src_dir_fd=folder, dst_dir_fd=folder)
    except FileNotFoundError:
        return None
    finally:
        os.close(folder)
    return f"{path}.g{number}"


def make_link(root: Path, path: str, target: str) -> None:
    """Makes the symbolic link `path` unless something is there already."""
    folder = open_folder(root, path)
    try:
        with contextlib.suppress(FileExistsError):
            os.symlink(target, path.rpartition("/")[2], dir_fd=folder)
    finally:
        os.close(folder)


def _exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
