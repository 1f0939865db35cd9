"""What the kernel says about memory of this process's control group: the limit, and how often it killed for it."""

from __future__ import annotations

from pathlib import Path
from typing import List, Optional, Tuple

_V1_MOUNT = Path("/sys/fs/cgroup/memory")
_V2_MOUNTS: Tuple[Path, ...] = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
# cgroup v1 says "no limit" with a number near 2**63.
_NO_LIMIT = 2**60


def read_oom_kills() -> int:
    """How many processes the kernel has killed for lack of memory, in this group and on the machine, so far.

    Only a difference of two readings means something. Sources: memory.events (v2), memory.oom_control (v1), and
    /proc/vmstat, which any user may read.
    """
    return _count(Path("/proc/vmstat")) + read_group_oom_kills()


def read_group_oom_kills() -> int:
    """The same, of this process's own group alone."""
    return sum(
        _count(folder / "memory.events") + _count(folder / "memory.oom_control") for _, folder in _group_folders()
    )


def read_limit_bytes() -> Optional[int]:
    """The tightest memory limit that this process is under; None where there is none."""
    limits = []
    for mount, folder in _group_folders():
        # The mount itself counts too: a container sees its own group there, a machine no limit.
        for level in (folder, *folder.parents):
            limits += [_limit(level / "memory.max"), _limit(level / "memory.limit_in_bytes")]
            if level == mount:
                break
    known = [limit for limit in limits if limit is not None and limit < _NO_LIMIT]
    return min(known) if known else None


def _group_folders() -> List[Tuple[Path, Path]]:
    """(mount, this process's own group below it).

    In a container the group may be called as it is outside, where the mount is the group already.
    """
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            mounts = _V2_MOUNTS
        elif "memory" in controllers.split(","):
            mounts = (_V1_MOUNT,)
        else:
            continue
        for mount in mounts:
            folder = mount / path.lstrip("/")
            found.append((mount, folder if folder.is_dir() else mount))
    return [(mount, folder) for mount, folder in found if mount.is_dir()]


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
