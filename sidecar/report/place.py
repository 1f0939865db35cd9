"""The folder that runs live in: whether it can be written, how much fits, whether programs may run from it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Iterator

from sidecar.report.finding import FAIL, OK, WARN, Finding, floor, size

_MIB = 1024 * 1024
# Below the first a run cannot even write its records; below the second an environment may not fit.
_DISK_FAIL_BYTES, _DISK_WARN_BYTES = 100 * _MIB, 5 * 1024 * _MIB
_INODES_FAIL_COUNT, _INODES_WARN_COUNT = 1_000, 50_000


def inspect_place(root: Path, *, name: str) -> Iterator[Finding]:
    """The findings about the folder `root`, which messages call `name`; it need not exist, and is not made."""
    place = next(folder for folder in (root, *root.parents) if folder.exists())
    yield _writable(root, place, name)
    yield from _space(root, place)
    yield _programs(root, place, name)


def _writable(root: Path, place: Path, name: str) -> Finding:
    if not os.access(place, os.W_OK | os.X_OK):
        text = f"{root} cannot be written: no right on {place}"
        return Finding(name, FAIL, "not writable", text, f"name a {name} that this login may write to")
    return Finding(name, OK, str(root), str(root) if place == root else f"{root}, not made yet")


def _space(root: Path, place: Path) -> Iterator[Finding]:
    space = os.statvfs(place)
    free = space.f_bavail * space.f_frsize
    level = floor(free, fail=_DISK_FAIL_BYTES, warn=_DISK_WARN_BYTES)
    reason = {OK: "", WARN: "; an environment may not fit", FAIL: "; no run fits"}[level]
    text = f"{size(free)} free of {size(space.f_blocks * space.f_frsize)} at {root}{reason}"
    yield Finding("disk", level, size(free), text, None if level == OK else "free some space there")
    if space.f_files == 0:
        yield Finding("inodes", OK, "not counted", "this file system does not count them")
        return
    level = floor(space.f_favail, fail=_INODES_FAIL_COUNT, warn=_INODES_WARN_COUNT)
    text = f"{space.f_favail:,} free of {space.f_files:,} at {root}"
    yield Finding(
        "inodes", level, f"{space.f_favail:,}", text, None if level == OK else "remove many small files there"
    )


def _programs(root: Path, place: Path, name: str) -> Finding:
    """A `noexec` disk runs scripts by an interpreter of elsewhere, but loads no compiled package that lies on it."""
    temporary = tempfile.gettempdir()
    if os.statvfs(place).f_flag & os.ST_NOEXEC:
        text = f"{root} is mounted noexec: compiled packages (numpy, mpi4py) in an environment there cannot be loaded"
        hint = f"name a {name} on another disk, or use user_managed_dependencies with a Python of elsewhere"
        return Finding("exec", WARN, "noexec", text, hint)
    if os.statvfs(temporary).f_flag & os.ST_NOEXEC:
        text = f"{temporary} is mounted noexec; the runner starts nothing there, but a build of a package might"
        return Finding("exec", OK, "yes", text)
    return Finding("exec", OK, "yes", f"programs may run from {root}")
