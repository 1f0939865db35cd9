"""Puts what a node's script wrote under `outputs/` and `logs/` into the run folder, without copying where it can.

A hard link is live at once, costs nothing and cannot tear: whatever the script appends is in the run folder already.
The first node's file keeps its path; a different file of another node goes to `<folder>/<node_id>/<path>`, and where
that is taken as well to `<folder>/<node_id>.1/<path>`, and so on. `logs/azureml/` is the runner's own: it counts as
taken. Nothing is overwritten, except a node's own earlier link to a file that the script has since replaced.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from itertools import islice
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from sidecar import last_room, tree
from sidecar.contract import publish
from sidecar.contract.containment import is_inside
from sidecar.contract.layout import SYSTEM_LOGS, USER_LOGS

# So many other files under all the names that a file may have: no accident any more.
_NAMES_LIMIT = 100


class Collection(NamedTuple):
    """What one round did: how many files are in place, what was passed over or has another name, in words.

    `left` is what should have been brought over and could not be: it must not be removed.
    """

    file_count: int
    notes: List[str]
    left: List[str]


class _Later(Exception):
    """The file cannot, or need not, be brought over in this round."""


class Collector:
    """Collects one folder of one node; remembers which paths in the run folder are this node's own."""

    def __init__(self, source: Path, destination: Path, node_id: str, *, memory: Path) -> None:
        """`memory` is a file of JSON lines that outlives this object: the agent begins, job release ends."""
        self._source = source
        self._destination = destination
        self._node_id = node_id
        self._memory = memory
        own = os.path.relpath(SYSTEM_LOGS, USER_LOGS)
        self._reserved = own if destination.name == USER_LOGS else None
        # The place of each file in the run folder, and the file of this node that it is.
        self._own: Dict[Path, str] = {
            destination / record["path"]: record.get("source", record["path"])
            for record in publish.read_records(memory)
        }

    def collect(self, *, is_final: bool) -> Collection:
        """Brings every regular file over. Links and copies across file systems are made only in the final round.

        Symbolic links are kept where they stay inside the folder; FIFOs, sockets and devices are never opened.
        Raises OSError where the run folder's disk takes nothing.
        """
        count = 0
        notes: List[str] = []
        left: List[str] = []

        def leave(relative: str, error: OSError) -> None:
            if error.errno in last_room.FULL:
                raise error
            left.append(f"{tree.shown(relative) or 'all of it'}: {error.strerror}")

        for relative, status in self._walk(leave, is_final=is_final):
            source = self._source / relative
            try:
                if stat.S_ISREG(status.st_mode):
                    notes += self._place(source, relative, status, is_final=is_final)
                    count += 1
                elif is_final and stat.S_ISLNK(status.st_mode):
                    notes += self._place_link(source, relative)
                elif is_final:
                    notes.append(f"left out {relative}: neither a file nor a link")
            except _Later:
                continue
            except OSError as error:
                leave(relative, error)
        return Collection(count, notes, left)

    def _walk(self, leave: Callable[[str, OSError], None], *, is_final: bool) -> Iterator[Tuple[str, os.stat_result]]:
        """(path below the source, lstat) of everything but folders; a folder that is a link is not entered."""
        if os.path.islink(self._source):
            return iter(())
        # In the end the script is gone: its folders need not keep us out.
        return tree.walk(str(self._source), leave, may_open=is_final)

    def _places(self, relative: str) -> Iterator[Path]:
        """Where the file may go, the best first."""
        if not self._is_reserved(relative):
            yield self._destination / relative
        yield self._destination / self._node_id / relative
        for number in range(1, _NAMES_LIMIT):
            yield self._destination / f"{self._node_id}.{number}" / relative

    def _is_reserved(self, relative: str) -> bool:
        """Whether the runner itself has this folder in the run folder."""
        return self._reserved is not None and relative.split(os.sep)[0] == self._reserved

    def _place(self, source: Path, relative: str, status: os.stat_result, *, is_final: bool) -> List[str]:
        """Brings one file over; returns what a person must know of its name. Raises OSError."""
        usual = [] if self._is_reserved(relative) else list(islice(self._places(relative), 2))
        for target in self._places(relative):
            if _lstat(target) is None and self._bring(source, target, is_final=is_final):
                self._remember(target, relative)
            elif not self._is_there(target, source, relative, status, is_final=is_final):
                continue
            is_told = is_final and target not in usual
            return [f"{relative} is in {target.relative_to(self._destination.parent)}"] if is_told else []
        raise FileExistsError(errno.EEXIST, f"all of its {_NAMES_LIMIT} names are taken")

    def _is_there(self, target: Path, source: Path, relative: str, status: os.stat_result, *, is_final: bool) -> bool:
        """Whether the file is in this place already, or is now where an older one of its name was."""
        there = _lstat(target)
        if there is None:
            return False
        if (there.st_dev, there.st_ino) == (status.st_dev, status.st_ino):
            return True
        if self._own.get(target) == relative:
            self._replace(source, target, is_final=is_final)
            return True
        return is_final and stat.S_ISREG(there.st_mode) and _is_same(source, target)

    def _remember(self, target: Path, relative: str) -> None:
        self._own[target] = relative
        publish.append_record(self._memory, {"path": str(target.relative_to(self._destination)), "source": relative})

    def _bring(self, source: Path, target: Path, *, is_final: bool) -> bool:
        """Whether the file is in the place now; False where that is taken. Raises _Later, or OSError."""
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _link(source, target)
        except (FileExistsError, NotADirectoryError):
            return False  # Another node was faster, or has a file where this one has a folder.
        except FileNotFoundError as error:
            if is_final and source.exists() and not source.is_symlink():
                raise
            raise _Later from error  # The script removed it meanwhile.
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
                raise
            if not is_final:
                raise _Later from error
            _copy(source, target)
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
        target = next(self._places(relative))
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.symlink(aim, target)
        except (FileExistsError, NotADirectoryError):
            if not target.is_symlink() or os.readlink(target) != aim:
                return [f"left out {relative}: a link to {aim}, whose place is taken"]
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
