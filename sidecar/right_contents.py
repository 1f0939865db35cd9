"""The hash of a content, and how one that had it is known without reading it again: by a time of change that any
writing takes away.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

# 2001-09-09: a whole second, as every file system keeps it, and no file's own.
CHECKED_NS = 1_000_000_000 * 10**9
_READ_ONLY = 0o444
_READ_BYTES = 1024 * 1024


def hash_of(path: Path) -> str:
    """The sha256 of what is at `path`, in hexadecimal digits. Raises OSError."""
    import hashlib  # Not needed where the node has everything.

    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as stream:
        while content := stream.read(_READ_BYTES):
            digest.update(content)
    return digest.hexdigest()


def is_right(path: Path, size_bytes: int) -> bool:
    """Whether the content at `path` had its hash, and nobody has written to it since."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    is_whole = stat.S_ISREG(status.st_mode) and status.st_size == size_bytes
    return is_whole and status.st_mtime_ns == CHECKED_NS


def mark_right(path: Path) -> None:
    """Notes that the content at `path` has its hash, and takes the right to write from it."""
    os.chmod(path, _READ_ONLY)
    os.utime(path, ns=(CHECKED_NS, CHECKED_NS))
