"""Keeps built environments by key: one builder at a time, the others wait and share; half environments never count.

nobody          no folder                      -> take the lock, build
being built     folder without marker, locked  -> wait for the lock
left behind     folder without marker, free    -> take the lock, wipe, build
complete        folder with marker             -> use it; no lock is taken
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional

from sidecar.contract import publish
from sidecar.contract.stores import EnvironmentsLayout
from sidecar.environments.failure import BuildFailed, build_failed

# An installer that is being killed may still write a last file into a folder that is being emptied.
_WIPE_ATTEMPTS = 5


class Slot:
    """The place of one environment in the cache."""

    def __init__(self, layout: EnvironmentsLayout, key: str) -> None:
        self.key = key
        self.folder = layout.folder(key)
        self.requirements = layout.requirements(key)
        self.conda_file = layout.conda_file(key)
        self._root = layout.root
        self._marker = layout.marker(key)
        self._lock = layout.lock(key)
        self._failure = layout.failure(key)

    @property
    def interpreter(self) -> Path:
        """The environment's Python."""
        return self.folder / "bin" / "python"

    def is_complete(self) -> bool:
        """Whether the environment can be used: built to the end, and the Python behind it is still there."""
        try:
            record = publish.read_record(self._marker)
        except ValueError:
            return False
        return record is not None and record.get("key") == self.key and os.access(self.interpreter, os.X_OK)

    def complete(self, record: Mapping[str, Any]) -> None:
        """Says, durably and last of all, that the environment can be used."""
        publish.write_whole(self._marker, publish.to_json({"key": self.key, **record}))
        with contextlib.suppress(OSError):
            self._failure.unlink()

    @contextlib.contextmanager
    def held(self) -> Iterator[Optional[BuildFailed]]:
        """Holds the builder's lock; gives the failure of the build that was waited for, if there was one.

        The lock is the kernel's: it ends with its holder, however that ends, and its file is never removed (a second
        file of that name would be a second lock).
        """
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            earlier = self._failure_record()
            is_waited_for = not _try_lock(descriptor)
            if is_waited_for:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            latest = self._failure_record()
            is_new = is_waited_for and latest is not None and latest != earlier
            yield build_failed(latest) if is_new and latest is not None else None
        finally:
            os.close(descriptor)

    def leave_failure(self, failure: BuildFailed) -> None:
        """Tells those who wait for this build that it failed, so that they need not fail one after the other."""
        record = {**failure.to_record(), "attempt": os.urandom(8).hex()}
        # Best effort: without it they build themselves, and see the same failure.
        with contextlib.suppress(OSError):
            publish.write_whole(self._failure, publish.to_json(record))

    def wipe(self) -> None:
        """Removes the environment and what a build needed. Raises OSError where something of it stays."""
        for path in (self.requirements, self.conda_file):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        # First the marker: whatever happens on the way, half an environment never counts.
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            self._marker.unlink()
        for attempts_left in reversed(range(_WIPE_ATTEMPTS)):
            try:
                if os.path.lexists(self.folder):
                    shutil.rmtree(self.folder, onerror=_make_removable)
                return
            except OSError:
                if attempts_left == 0:
                    raise

    def _failure_record(self) -> Optional[Mapping[str, Any]]:
        try:
            return publish.read_record(self._failure)
        except ValueError:
            return None


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _make_removable(_remove: object, path: str, _error: object) -> None:
    """Some packages install folders that may not be written. Links are let be: behind one lies the base Python."""
    os.chmod(os.path.dirname(path), stat.S_IRWXU)
    if os.path.isdir(path) and not os.path.islink(path):
        os.chmod(path, stat.S_IRWXU)
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
