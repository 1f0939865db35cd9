"""A lock that one process holds and no crash can leave behind, with the holder's identity to read in it.

The holder may live in a container: its pid means nothing outside of that one's pid namespace, whose number is in the
file as well.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Optional

from sidecar.contract import identity, publish

_NAMESPACE = "pid_namespace"


class HeldLock:
    """An flock on `path`; the kernel frees it when the holder dies. Close to give it back."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def close(self) -> None:
        """Gives the lock back."""
        os.close(self.descriptor)


def take(path: Path) -> Optional[HeldLock]:
    """The lock, with this process's identity written in it; None where another process holds it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    content = publish.to_json({**identity.own_identity().to_record(), _NAMESPACE: _own_namespace()})
    # Over the old one, and only then shorter: on a full disk what was given back could not be had again.
    os.pwrite(descriptor, content.ljust(os.fstat(descriptor).st_size), 0)
    os.ftruncate(descriptor, len(content))
    return HeldLock(descriptor)


def hold_folder(folder: Path) -> Optional[HeldLock]:
    """A lock on `folder` itself, which lasts although what lies in it is removed; None where another process has it.

    On a file system that locks no folders (NFS) everybody gets it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        pass  # The file in it is what there is then.
    return HeldLock(descriptor)


def holder(path: Path) -> Optional[identity.ProcessIdentity]:
    """The live process that holds the lock; None where nobody does.

    Asks by the identity in the file and not by trying the lock, which could make a rightful taker fail; of a holder
    in another pid namespace only the lock itself can tell.
    """
    try:
        record = publish.read_record(path)
    except (OSError, ValueError):
        return None
    found = identity.identity_from(record)
    if record is None or found is None:
        return None
    is_near = record.get(_NAMESPACE) in (None, _own_namespace())
    return found if (identity.is_alive(found) if is_near else is_held(path)) else None


def is_held(path: Path) -> bool:
    """Whether somebody holds the lock, found out by trying it: for locks whose takers try again."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _own_namespace() -> Optional[int]:
    """The number of this process's pid namespace; None where there is no /proc."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return None
