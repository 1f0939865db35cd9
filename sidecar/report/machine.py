"""The machine itself: Python, cores, memory, limits of the kernel."""

from __future__ import annotations

import os
import platform
import resource
import socket
import sys
from pathlib import Path
from typing import Iterator, Optional, Sequence, Tuple

from sidecar import extras, memory_limits
from sidecar.report.finding import FAIL, OK, WARN, Finding, size

_MIB = 1024 * 1024
_MEMORY_WARN_BYTES = 512 * _MIB
# Docker's own default, on which PyTorch's data loaders and MPI's shared memory run dry.
_SHM_WARN_BYTES = 64 * _MIB
_FILES_WARN_COUNT = 1024
_SHM = "/dev/shm"  # noqa: S108 (it is measured; nothing is put there)


def inspect_machine(oldest_python: Sequence[int]) -> Iterator[Finding]:
    """The findings about the machine as a whole."""
    yield _login()
    yield _python(oldest_python)
    yield _cores()
    yield _memory()
    yield _shared_memory()
    yield _open_files()
    yield _inotify()


def _login() -> Finding:
    import pwd

    uid = os.getuid()
    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = os.environ.get("USER", "?")
    text = f"{user} (uid {uid}) at {socket.gethostname()}" + (", with all rights" if uid == 0 else "")
    return Finding("login", OK, f"{user} ({uid})", text, facts={"user": user, "uid": uid, "is_root": uid == 0})


def _python(oldest: Sequence[int]) -> Finding:
    version = platform.python_version()
    text = f"{version} at {sys.executable}, {platform.system()} {platform.release()}"
    level = OK if sys.version_info >= tuple(oldest) else FAIL
    hint = None if level == OK else f"install Python {'.'.join(map(str, oldest))} or newer"
    return Finding("python", level, version, text, hint, {"version": version, "executable": sys.executable})


def _cores() -> Finding:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = os.getloadavg()[0]
    level = WARN if load > 2 * usable else OK
    busy = "; the machine is busy, runs will be slow" if level == WARN else ""
    return Finding("cores", level, str(usable), f"{usable} usable of {os.cpu_count()}, load {load:.1f}{busy}")


def _memory() -> Finding:
    found = _memory_bytes()
    if found is None:
        return Finding("memory", WARN, "unknown", "cannot be measured without psutil")
    total, available = found
    limit = memory_limits.read_limit_bytes()
    note = ""
    if limit is not None and limit < total:
        total, note = limit, f" (limited by a control group to {size(limit)})"
        available = min(available, limit)
    level = WARN if available < _MEMORY_WARN_BYTES else OK
    return Finding("memory", level, size(available), f"{size(available)} available of {size(total)}{note}")


def _memory_bytes() -> Optional[Tuple[int, int]]:
    """(total, available)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        sizes = {line.partition(":")[0]: int(line.split()[1]) * 1024 for line in lines}
        return sizes["MemTotal"], sizes["MemAvailable"]
    except (OSError, ValueError, KeyError, IndexError):
        pass  # No Linux: psutil knows.
    try:
        extras.make_importable()
        import psutil
    except ImportError:
        return None
    memory = psutil.virtual_memory()
    return memory.total, memory.available


def _shared_memory() -> Finding:
    try:
        space = os.statvfs(_SHM)
    except OSError:
        return Finding(_SHM, WARN, "absent", "absent: MPI ranks of one node may not find each other")
    total = space.f_blocks * space.f_frsize
    free = space.f_bavail * space.f_frsize
    level = WARN if free <= _SHM_WARN_BYTES else OK
    reason = "; data loaders and MPI may run out of it" if level == WARN else ""
    hint = None if level == OK else f"mount -o remount,size=2g {_SHM}, by someone who may"
    return Finding(_SHM, level, size(free), f"{size(free)} free of {size(total)}{reason}", hint)


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft_text, hard_text = ("unlimited" if limit == resource.RLIM_INFINITY else str(limit) for limit in (soft, hard))
    is_low = soft != resource.RLIM_INFINITY and soft < _FILES_WARN_COUNT
    text = f"{soft_text} a process, can be raised to {hard_text}"
    return Finding("open files", WARN if is_low else OK, soft_text, text)


def _inotify() -> Finding:
    limits = [_number(f"/proc/sys/fs/inotify/max_user_{what}") for what in ("instances", "watches")]
    if None in limits:
        return Finding("inotify", WARN, "none", "not here: logs are polled, and seen a little later")
    instances, watches = _inotify_in_use()
    text = f"{instances} of {limits[0]} instances and {watches} of {limits[1]} watches in use"
    is_full = instances >= (limits[0] or 0) or watches >= (limits[1] or 0)
    reason = "; full: logs are polled, and seen a little later" if is_full else ""
    return Finding("inotify", WARN if is_full else OK, "full" if is_full else "free", text + reason)


def _number(path: str) -> Optional[int]:
    try:
        return int(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _inotify_in_use() -> Tuple[int, int]:
    """Instances and watches of this user's processes, as far as /proc lets us see them."""
    instances = watches = 0
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{pid}").st_uid != os.getuid():
                continue
            descriptors = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue  # ended meanwhile, or not ours to look at
        for descriptor in descriptors:
            try:
                if os.readlink(f"/proc/{pid}/fd/{descriptor}") != "anon_inode:inotify":
                    continue
                instances += 1
                watches += Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text(encoding="ascii").count("inotify wd:")
            except OSError:
                continue
    return instances, watches
