"""Shared memory that a run's processes leave behind: found by who was seen using it, never by guessing from names."""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path
from typing import Dict, Iterable, List, Set

POSIX_FOLDER = Path("/dev/shm")  # noqa: S108 - the place of POSIX shared memory on Linux, not a temporary file of ours
_SYSV_TABLE = Path("/proc/sysvipc/shm")
_IPC_RMID = 0
# MPICH; Open MPI 5 and 4. Their names are random, so nobody else makes them.
_MPI_PREFIXES = ("mpich_shm_", "mpich_shar_", "sm_segment.", "vader_segment.")
_DELETED = " (deleted)"


def list_names() -> List[str]:
    """Names of everything directly in /dev/shm now."""
    try:
        return sorted(os.listdir(POSIX_FOLDER))
    except OSError:
        return []


def used_by(pids: Iterable[int]) -> Set[str]:
    """Names of the POSIX segments that any of `pids` maps or holds open now.

    A segment's name has no slash (shm_overview(7)): what lies in a folder of /dev/shm is somebody's file, a data set
    or a workspace, and none of ours.
    """
    found: Set[str] = set()
    for pid in pids:
        found |= _mapped(pid) | _opened(pid)
    return {name for name in found if "/" not in name}


def left_by_mpi(foreign: Iterable[str]) -> Set[str]:
    """Names of segments that an MPI made since the run began: ranks that are killed while MPI starts leave them.

    Whoever still uses one must be found by `used_by` before it is removed.
    """
    return {name for name in list_names() if name.startswith(_MPI_PREFIXES)} - set(foreign)


def _mapped(pid: int) -> Set[str]:
    names = set()
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="surrogateescape") as stream:
            for line in stream:
                _, found, path = line.partition(f" {POSIX_FOLDER}/")
                if found:
                    names.add(path.rstrip("\n"))
    except OSError:
        return set()
    return {name for name in names if not name.endswith(_DELETED)}


def _opened(pid: int) -> Set[str]:
    names = set()
    prefix = f"{POSIX_FOLDER}/"
    with contextlib.suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(entry.path)
                if target.startswith(prefix) and not target.endswith(_DELETED):
                    names.add(target[len(prefix) :])
    return names


def remove_left(names: Iterable[str], still_used: Set[str]) -> List[str]:
    """Removes those segments that exist, are this user's, and nobody uses any more; says which."""
    removed = []
    for name in sorted(set(names) - still_used):
        path = POSIX_FOLDER / name
        with contextlib.suppress(OSError):
            if path.lstat().st_uid == os.getuid():
                path.unlink()
                removed.append(str(path))
    return removed


def system_v_segments(creators: Set[int], *, since_s: float) -> Dict[int, int]:
    """Segment id -> how many processes are attached, for the System V segments that one of `creators` made.

    One that was last changed before `since_s` (Unix time) is somebody's who had the same pid earlier.
    """
    try:
        lines = _SYSV_TABLE.read_text(encoding="ascii").splitlines()
    except OSError:
        return {}
    columns = lines[0].split()
    segments = {}
    for line in lines[1:]:
        row = dict(zip(columns, line.split()))
        if int(row["cpid"]) in creators and int(row["ctime"]) >= int(since_s):
            segments[int(row["shmid"])] = int(row["nattch"])
    return segments


def remove_system_v(creators: Set[int], *, since_s: float) -> List[str]:
    """Removes the unattached System V segments that `creators` made since then; says which."""
    library = ctypes.CDLL(None, use_errno=True)
    return [
        f"sysv:{segment}"
        for segment, attached in system_v_segments(creators, since_s=since_s).items()
        if attached == 0 and library.shmctl(segment, _IPC_RMID, None) == 0
    ]
