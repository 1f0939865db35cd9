"""Walks and removes a script's folders, also those whose rights forbid it; what cannot be done is told."""

from __future__ import annotations

import contextlib
import os
import stat
from typing import Any, Callable, Iterator, List, Set, Tuple

_OWNER = stat.S_IRWXU
_SHOWN_LETTERS = 160


def walk(root: str, note: Callable[[str, OSError], None], *, may_open: bool) -> Iterator[Tuple[str, os.stat_result]]:
    """(path below `root`, lstat) of everything but folders: a folder's own files first, then what is below it.

    `note` gets what could not be looked at. `may_open`: a folder whose owner may not enter it gets that right.
    """
    waiting = [""]
    while waiting:
        relative = waiting.pop()
        folders = []
        try:
            names = _names(os.path.join(root, relative), may_open=may_open)
        except OSError as error:
            _tell(note, relative, error)
            continue
        for path in (os.path.join(relative, name) for name in names):
            try:
                status = os.lstat(os.path.join(root, path))
            except OSError as error:
                _tell(note, path, error)
                continue
            if stat.S_ISDIR(status.st_mode):
                folders.append(path)
            else:
                yield path, status
        waiting += reversed(folders)


def _names(folder: str, *, may_open: bool) -> List[str]:
    if may_open:
        open_up(folder)
    return sorted(os.listdir(folder))


def _tell(note: Callable[[str, OSError], None], path: str, error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # Removed meanwhile.
        note(path, error)


def open_up(folder: str) -> None:
    """Gives the owner every right to a folder that lacks one; best effort, the next step tells what is wrong."""
    with contextlib.suppress(OSError):
        mode = os.lstat(folder).st_mode
        if not stat.S_ISDIR(mode) or mode & _OWNER == _OWNER:
            return
        if not hasattr(os, "O_PATH"):  # macOS: nothing names an open folder there.
            os.chmod(folder, stat.S_IMODE(mode) | _OWNER)
            return
        # The very folder that was looked at, whatever stands there now.
        descriptor = os.open(folder, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.chmod(f"/proc/self/fd/{descriptor}", stat.S_IMODE(mode) | _OWNER)
        finally:
            os.close(descriptor)


def remove(root: str) -> List[str]:
    """Removes the folder and all below it; returns what stays, and why: nothing as a rule."""
    import shutil  # Importing it is a tenth of an agent's start.

    left: List[str] = []
    tried: Set[str] = set()

    def try_again(_act: object, path: str, info: Tuple[Any, BaseException, Any]) -> None:
        if isinstance(info[1], FileNotFoundError):
            return
        if path in tried:
            left.append(f"{shown(path)}: {getattr(info[1], 'strerror', info[1])}")
            return
        tried.add(path)
        open_up(os.path.dirname(path))
        open_up(path)
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path, onerror=try_again)
            return
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            left.append(f"{shown(path)}: {error.strerror}")

    try:
        if os.path.lexists(root):
            shutil.rmtree(root, onerror=try_again)
    except RecursionError:
        left.append(f"{shown(root)}: folders in folders in folders, too many to be removed")
    return left


def shown(path: str) -> str:
    """The path, shortened in its middle where nobody would read all of it."""
    half = _SHOWN_LETTERS // 2
    return path if len(path) <= _SHOWN_LETTERS else f"{path[:half]}...{path[-half:]}"
