"""A lock that one process holds and no crash can leave behind, with the holder's identity to read in it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Optional

from sidecar.contract import identity, publish


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
    content = publish.to_json(identity.own_identity().to_record())
    # Over the old one, and only then shorter: on a full disk what was given back could not be had again.
    os.pwrite(descriptor, content.ljust(os.fstat(descriptor).st_size), 0)
    os.ftruncate(descriptor, len(content))
    return HeldLock(descriptor)


def holder(path: Path) -> Optional[identity.ProcessIdentity]:
    """The live process that holds the lock; None where nobody does.

    Asks by the identity in the file and never by trying the lock, which could make a rightful taker fail.
    """
    try:
        found = identity.identity_from(publish.read_record(path))
    except (OSError, ValueError):
        return None
    return found if found is not None and identity.is_alive(found) else None
