"""Puts what a node's script wrote under `outputs/` and `logs/` into the run folder, without copying where it can.

A hard link is live at once, costs nothing and cannot tear: whatever the script appends is in the run folder already.
The first node's file keeps its path; a different file of another node goes to `<folder>/<node_id>/<path>`. Nothing is
overwritten, except a node's own earlier link to a file that the script has since replaced.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Set, Tuple

from sidecar.contract import publish
from sidecar.contract.containment import is_inside


class Collection(NamedTuple):
    """What one round did: how many files are in place, and what was passed over, in words."""

    file_count: int
    notes: List[str]


class Collector:
    """Collects one folder of one node; remembers which paths in the run folder are this node's own."""

    def __init__(self, source: Path, destination: Path, node_id: str, *, memory: Path) -> None:
        """`memory` is a file of JSON lines that outlives this object: the agent begins, job release ends."""
        self._source = source
        self._destination = destination
        self._node_id = node_id
        self._memory = memory
        self._own: Set[Path] = {destination / record["path"] for record in publish.read_records(memory)}

    def collect(self, *, is_final: bool) -> Collection:
        """Brings every regular file over. Links and copies across file systems are made only in the final round.

        Symbolic links are kept where they stay inside the folder; FIFOs, sockets and devices are never opened.
        Raises OSError where the run folder cannot be written.
        """
        count = 0
        notes = []
        for relative, status in self._walk():
            source = self._source / relative
            if stat.S_ISREG(status.st_mode):
                self._place(source, relative, status, is_final=is_final)
                count += 1
            elif is_final and stat.S_ISLNK(status.st_mode):
                notes += self._place_link(source, relative)
            elif is_final:
                notes.append(f"left out {relative}: neither a file nor a link")
        return Collection(count, notes)

    def _walk(self) -> Iterator[Tuple[str, os.stat_result]]:
        """(path below the source, lstat) of everything but folders; a folder that is a link is not entered."""
        if os.path.islink(self._source):
            return
        for folder, folder_names, file_names in os.walk(self._source):
            folder_names.sort()
            links = [name for name in folder_names if os.path.islink(os.path.join(folder, name))]
            for name in sorted(file_names + links):
                path = os.path.join(folder, name)
                with contextlib.suppress(FileNotFoundError):
                    yield os.path.relpath(path, self._source), os.lstat(path)

    def _place(self, source: Path, relative: str, status: os.stat_result, *, is_final: bool) -> None:
        for target in (self._destination / relative, self._destination / self._node_id / relative):
            there = _lstat(target)
            if there is None:
                if self._bring(source, target, is_final=is_final):
                    self._remember(target)
                    return
                continue
            if (there.st_dev, there.st_ino) == (status.st_dev, status.st_ino):
                return
            if target in self._own:
                self._replace(source, target, is_final=is_final)
                return
            if is_final and stat.S_ISREG(there.st_mode) and _is_same(source, target):
                return

    def _remember(self, target: Path) -> None:
        self._own.add(target)
        publish.append_record(self._memory, {"path": str(target.relative_to(self._destination))})

    def _bring(self, source: Path, target: Path, *, is_final: bool) -> bool:
        """Whether nothing more is to be tried for `source` in this round."""
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(source, target)
        except (FileExistsError, NotADirectoryError):
            return False  # Another node was faster, or has a file where this one has a folder.
        except FileNotFoundError:
            return True  # The script removed it meanwhile.
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
                raise
            if is_final:
                _copy(source, target)
            return is_final
        return True

    def _replace(self, source: Path, target: Path, *, is_final: bool) -> None:
        aside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(aside)
        if self._bring(source, aside, is_final=is_final):
            with contextlib.suppress(FileNotFoundError):
                os.replace(aside, target)

    def _place_link(self, source: Path, relative: str) -> List[str]:
        aim = os.readlink(source)
        if os.path.isabs(aim) or not is_inside(str(source.parent / aim), str(self._source)):
            return [f"left out {relative}: a link that leaves the folder"]
        target = self._destination / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.symlink(aim, target)
        return []


def _link(source: Path, target: Path) -> None:
    """Links the very file that was looked at: a script may put a link to anything in its place at any moment.

    Raises FileNotFoundError where it has done so, or has removed the file.
    """
    if not hasattr(os, "O_PATH"):  # macOS: nothing names an open file there.
        os.link(source, target, follow_symlinks=False)
        return
    descriptor = os.open(source, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise FileNotFoundError(errno.ENOENT, "no longer a file", os.fspath(source))
        # open(2), O_TMPFILE: this way to name a descriptor needs no right that the file's owner lacks. Python makes
        # the system call that follows the name only where a folder's descriptor is given; the path does not need it.
        os.link(f"/proc/self/fd/{descriptor}", target, src_dir_fd=descriptor, follow_symlinks=True)
    finally:
        os.close(descriptor)


def _copy(source: Path, target: Path) -> None:
    """Copies the file, where it still is one."""
    import shutil

    try:
        descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOENT):
            return  # Replaced by a link, or removed, since it was looked at.
        raise
    with os.fdopen(descriptor, "rb") as incoming:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(target, flags, stat.S_IMODE(status.st_mode)), "wb") as outgoing:
                shutil.copyfileobj(incoming, outgoing)


def _lstat(path: Path) -> Optional[os.stat_result]:
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _is_same(one: Path, other: Path) -> bool:
    import filecmp

    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False
