"""What this machine has and lacks for runs: one finding a question, each with its reason."""

from __future__ import annotations

import os
import platform
import re
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from sidecar.contract.layout import WorkspaceLayout

_MIB = 1024 * 1024
_GIB = 1024 * _MIB

# Below the first a run cannot even write its records; below the second an environment may not fit.
_DISK_FAIL_BYTES, _DISK_WARN_BYTES = 100 * _MIB, 5 * _GIB
_INODES_FAIL_COUNT, _INODES_WARN_COUNT = 1_000, 50_000
_MEMORY_WARN_BYTES = 512 * _MIB
# Docker's own default, on which PyTorch's data loaders and MPI's shared memory run dry.
_SHM_WARN_BYTES = 64 * _MIB
_FILES_WARN_COUNT = 1024
_SHM = "/dev/shm"  # noqa: S108 (it is measured; nothing is put there)
# A tool that does not answer within this must not hold up the report.
_TOOL_TIMEOUT_S = 10.0

_MPI_VERSIONS = (
    ("Intel MPI", re.compile(r"Intel\(R\) MPI Library.*?Version\s+([\d.]+)", re.DOTALL)),
    ("Open MPI", re.compile(r"(?:Open MPI|OpenRTE|PRRTE)\)?\s+v?([\d.]+\w*)")),
    ("MPICH", re.compile(r"HYDRA build details.*?Version:\s+([\d.]+\w*)", re.DOTALL)),
)


class Level(str, Enum):
    """How good a finding is: with a `fail` no run can start."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The answer to one question; `detail` holds what was found, and the reason where it is not ok."""

    name: str
    level: Level
    detail: str


def inspect_machine(workspace: WorkspaceLayout, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Every finding about this machine, in the order in which a run would need them; changes nothing."""
    yield _python()
    yield _workspace(workspace.root)
    yield from _disk(workspace.root)
    yield _cores()
    yield _memory()
    yield _shared_memory()
    yield _open_files()
    yield _inotify()
    yield _mpi(environ)
    yield _tool("uv", ("uv",), environ, without="environments are built with venv and pip, which takes longer")
    conda = ("conda", "mamba", "micromamba")
    yield _tool("conda", conda, environ, without="an environment with a conda file cannot be built here")
    yield _docker(environ)


def _python() -> Finding:
    text = f"{platform.python_version()} at {sys.executable}, {platform.system()} {platform.release()}"
    level = Level.OK if sys.version_info >= (3, 10) else Level.FAIL
    return Finding(name="python", level=level, detail=text)


def _workspace(root: Path) -> Finding:
    place = _existing(root)
    if not os.access(place, os.W_OK | os.X_OK):
        return Finding(name="workspace", level=Level.FAIL, detail=f"{root} cannot be written: no right on {place}")
    return Finding(name="workspace", level=Level.OK, detail=f"{root}" + ("" if place == root else ", not made yet"))


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())


def _disk(root: Path) -> Iterator[Finding]:
    space = os.statvfs(_existing(root))
    free = space.f_bavail * space.f_frsize
    text = f"{_size(free)} free of {_size(space.f_blocks * space.f_frsize)} for the workspace"
    yield Finding(name="disk", level=_floor(free, fail=_DISK_FAIL_BYTES, warn=_DISK_WARN_BYTES), detail=text)
    if space.f_files == 0:
        yield Finding(name="inodes", level=Level.OK, detail="this file system does not count them")
        return
    level = _floor(space.f_favail, fail=_INODES_FAIL_COUNT, warn=_INODES_WARN_COUNT)
    yield Finding(name="inodes", level=level, detail=f"{space.f_favail:,} free of {space.f_files:,}")


def _floor(value: int, *, fail: int, warn: int) -> Level:
    return Level.FAIL if value < fail else Level.WARN if value < warn else Level.OK


def _size(count: float) -> str:
    return f"{count / _GIB:.1f} GiB" if count >= _GIB else f"{count / _MIB:.0f} MiB"


def _cores() -> Finding:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    load = os.getloadavg()[0]
    level = Level.WARN if load > 2 * usable else Level.OK
    busy = "; the machine is busy, runs will be slow" if level is Level.WARN else ""
    return Finding(name="cores", level=level, detail=f"{usable} usable of {os.cpu_count()}, load {load:.1f}{busy}")


def _memory() -> Finding:
    import psutil

    memory = psutil.virtual_memory()
    total, available = memory.total, memory.available
    limit = _control_group_limit()
    note = ""
    if limit is not None and limit < total:
        total, note = limit, f" (limited by a control group to {_size(limit)})"
        available = min(available, limit)
    level = Level.WARN if available < _MEMORY_WARN_BYTES else Level.OK
    return Finding(name="memory", level=level, detail=f"{_size(available)} available of {_size(total)}{note}")


def _control_group_limit() -> int | None:
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            return int(Path(path).read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue  # not this version of control groups, or "max"
    return None


def _shared_memory() -> Finding:
    try:
        space = os.statvfs(_SHM)
    except OSError:
        return Finding(name=_SHM, level=Level.WARN, detail="absent: MPI ranks of one node may not find each other")
    total = space.f_blocks * space.f_frsize
    free = space.f_bavail * space.f_frsize
    level = Level.WARN if free <= _SHM_WARN_BYTES else Level.OK
    reason = "; data loaders and MPI may run out of it" if level is Level.WARN else ""
    return Finding(name=_SHM, level=level, detail=f"{_size(free)} free of {_size(total)}{reason}")


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft_text, hard_text = ("unlimited" if limit == resource.RLIM_INFINITY else str(limit) for limit in (soft, hard))
    is_low = soft != resource.RLIM_INFINITY and soft < _FILES_WARN_COUNT
    level = Level.WARN if is_low else Level.OK
    return Finding(name="open files", level=level, detail=f"{soft_text} a process, can be raised to {hard_text}")


def _inotify() -> Finding:
    limits = [_number(f"/proc/sys/fs/inotify/max_user_{what}") for what in ("instances", "watches")]
    if None in limits:
        return Finding(name="inotify", level=Level.WARN, detail="not here: logs are polled, and seen a little later")
    instances, watches = _inotify_in_use()
    text = f"{instances} of {limits[0]} instances and {watches} of {limits[1]} watches in use"
    is_full = instances >= (limits[0] or 0) or watches >= (limits[1] or 0)
    reason = "; full: logs are polled, and seen a little later" if is_full else ""
    return Finding(name="inotify", level=Level.WARN if is_full else Level.OK, detail=text + reason)


def _number(path: str) -> int | None:
    try:
        return int(Path(path).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _inotify_in_use() -> tuple[int, int]:
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


def _mpi(environ: Mapping[str, str]) -> Finding:
    path = _find(("mpiexec", "mpirun"), environ)
    if path is None:
        reason = "none found; MPI jobs need one, such as pip_requirements: [mpich, mpi4py]"
        return Finding(name="MPI", level=Level.WARN, detail=reason)
    output = _output_of([path, "--version"])
    version = mpi_version(output or "")
    if version is None:
        return Finding(name="MPI", level=Level.WARN, detail=f"{path} does not say its version")
    return Finding(name="MPI", level=Level.OK, detail=f"{version} at {path}")


def mpi_version(output: str) -> str | None:
    """`MPICH 4.2.2`, `Open MPI 4.1.4`, ...: what `mpiexec --version` printed; None where it is none that is known."""
    for name, pattern in _MPI_VERSIONS:
        found = pattern.search(output)
        if found:
            return f"{name} {found[1]}"
    return None


def _tool(name: str, commands: tuple[str, ...], environ: Mapping[str, str], *, without: str) -> Finding:
    path = _find(commands, environ)
    if path is None:
        # Absent is fine for most runs, so it is no warning; what it means is said.
        return Finding(name=name, level=Level.OK, detail=f"none: {without}")
    version = _output_of([path, "--version"])
    if version is None:
        return Finding(name=name, level=Level.WARN, detail=f"{path} does not work")
    return Finding(
        name=name, level=Level.OK, detail=f"{version.strip().splitlines()[0]} at {path}" if version.strip() else path
    )


def _find(commands: tuple[str, ...], environ: Mapping[str, str]) -> str | None:
    # Beside our own interpreter first: a wheel puts mpiexec there, and an unactivated .venv is not on PATH.
    places = os.path.dirname(sys.executable) + os.pathsep + environ.get("PATH", os.defpath)
    return next((path for path in (shutil.which(command, path=places) for command in commands) if path), None)


def _output_of(argv: list[str]) -> str | None:
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TOOL_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def _docker(environ: Mapping[str, str]) -> Finding:
    address = environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    only = "only runs with docker_runtime_config need it"
    if not address.startswith("unix://"):
        return Finding(name="docker", level=Level.OK, detail=f"{address} is asked only when a run needs it")
    path = address[len("unix://") :]
    try:
        answer = _ask_docker(path)
    except FileNotFoundError:
        return Finding(name="docker", level=Level.WARN, detail=f"not reachable: no {path}; {only}")
    except OSError as error:
        return Finding(
            name="docker", level=Level.WARN, detail=f"not reachable at {path}: {error.strerror or error}; {only}"
        )
    found = re.search(rb'"Version":"([^"]+)"', answer)
    version = found[1].decode("ascii", "replace") if found else "of an unknown version"
    return Finding(name="docker", level=Level.OK, detail=f"{version} at {path}")


def _ask_docker(path: str) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_TOOL_TIMEOUT_S)
        connection.connect(path)
        connection.sendall(b"GET /version HTTP/1.0\r\nHost: docker\r\n\r\n")
        answer = b""
        while len(answer) < _MIB and (part := connection.recv(64 * 1024)):
            answer += part
        return answer
