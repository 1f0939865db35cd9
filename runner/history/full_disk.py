"""Says that a run waits because the disk of its folder is full; nothing can be written there to say so."""

from __future__ import annotations

import os

from sidecar.contract.layout import RunLayout

# Less, and not even the run's record can be replaced.
_LEAST_BYTES = 64 * 1024
_LEAST_FILES = 4


def full_disk(layout: RunLayout) -> str | None:
    """A sentence for `status` where the folder's disk is full; None where there is room."""
    try:
        disk = os.statvfs(layout.root)
    except OSError:
        return None
    waiting = f"on the disk of {layout.root}: logs wait on the nodes until there is room"
    if disk.f_flag & os.ST_RDONLY:
        return f"nothing can be written {waiting}; it is mounted read-only"
    if disk.f_bavail * disk.f_frsize < _LEAST_BYTES:
        return f"no space left {waiting}"
    # A file system that does not count its files says 0 of 0.
    if disk.f_files > 0 and disk.f_favail < _LEAST_FILES:
        return f"no inodes left {waiting}"
    return None
