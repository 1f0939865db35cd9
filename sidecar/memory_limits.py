"""What the kernel says about memory of this process's control group: the limit, and how often it killed for it."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional

_V1_MOUNT = Path("/sys/fs/cgroup/memory")
_V2_MOUNTS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
# cgroup v1 says "no limit" with a number near 2**63.
_NO_LIMIT = 2**60


def read_oom_kills() -> int:
    """How many processes the kernel has killed for lack of memory, in this group and on the machine, so far.

    Only a difference of two readings means something. Sources: memory.events (v2), memory.oom_control (v1), and
    /proc/vmstat, which any user may read.
    """
    total = _count(Path("/proc/vmstat"))
    for folder in _group_folders():
        total += _count(folder / "memory.events") + _count(folder / "memory.oom_control")
    return total


def read_limit_bytes() -> Optional[int]:
    """The tightest memory limit that this process is under; None where there is none."""
    limits = []
    for folder in _group_folders():
        while folder not in (*_V2_MOUNTS, _V1_MOUNT):
            limits += [_limit(folder / "memory.max"), _limit(folder / "memory.limit_in_bytes")]
            folder = folder.parent
    known = [limit for limit in limits if limit is not None and limit < _NO_LIMIT]
    return min(known) if known else None


def _group_folders() -> List[Path]:
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    folders = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            folders += [mount / path.lstrip("/") for mount in _V2_MOUNTS]
        elif "memory" in controllers.split(","):
            folders.append(_V1_MOUNT / path.lstrip("/"))
    return [folder for folder in folders if folder.is_dir()]


def _count(path: Path) -> int:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def _limit(path: Path) -> Optional[int]:
    try:
        text = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None
