"""The GPUs of a machine, and who uses them now, as nvidia-smi tells."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional

from sidecar.report.finding import OK, WARN, Finding, size

_MIB = 1024 * 1024
# A driver that hangs must not hold up the report.
_LIMIT_S = 10.0
# What a driver keeps for itself on an idle GPU is less.
_IDLE_BYTES = 1024 * _MIB
_GPU_KEYS = "index,uuid,name,memory.used,memory.total"
_USE_KEYS = "gpu_uuid,pid,used_gpu_memory"
# Where drivers are put that no login shell's PATH names.
_PLACES = ("/usr/bin", "/usr/local/bin", "/usr/local/nvidia/bin", "/usr/lib/wsl/lib")


class Gpu(NamedTuple):
    """One GPU; sizes are None where the driver does not tell."""

    number: str
    uuid: str
    name: str
    used_bytes: Optional[int]
    total_bytes: Optional[int]


class Use(NamedTuple):
    """One process that computes on a GPU."""

    uuid: str
    pid: str
    used_bytes: Optional[int]


def inspect_gpus(environ: Mapping[str, str]) -> Finding:
    """How many there are, and whether somebody uses them already."""
    places = os.pathsep.join((environ.get("PATH", os.defpath), *_PLACES))
    program = shutil.which("nvidia-smi", path=places)
    if program is None:
        if Path("/proc/driver/nvidia").exists():
            text = "there is an NVIDIA driver, but no nvidia-smi to ask"
            return Finding("GPUs", WARN, "unknown", text, "install the driver's programs")
        return Finding("GPUs", OK, "none", "none: there is no nvidia-smi", facts={"gpu_count": 0})
    try:
        found = parse_gpus(_ask(program, f"--query-gpu={_GPU_KEYS}"))
        uses = parse_uses(_ask(program, f"--query-compute-apps={_USE_KEYS}"))
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("GPUs", WARN, "broken", f"{program} does not work: {_reason(error)}", "is the driver loaded?")
    return judge(found, uses, owner_of)


def _ask(program: str, query: str) -> str:
    argv = [program, query, "--format=csv,noheader,nounits"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LIMIT_S, check=True)
    return done.stdout.decode("utf-8", "replace")


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        words = (error.stdout + b"\n" + error.stderr).decode("utf-8", "replace").strip().splitlines()
        return words[0] if words else f"exit code {error.returncode}"
    return str(error)


def parse_gpus(text: str) -> List[Gpu]:
    """The lines of `--query-gpu`."""
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]
    return [Gpu(row[0], row[1], row[2], _bytes(row[3]), _bytes(row[4])) for row in rows if len(row) == 5]


def parse_uses(text: str) -> List[Use]:
    """The lines of `--query-compute-apps`."""
    rows = [[cell.strip() for cell in line.split(",")] for line in text.splitlines()]
    return [Use(row[0], row[1], _bytes(row[2])) for row in rows if len(row) == 3]


def _bytes(mebibytes: str) -> Optional[int]:
    """Of a GPU that does not tell, the cell says `[N/A]`."""
    return int(mebibytes) * _MIB if mebibytes.isdecimal() else None


def owner_of(pid: str) -> str:
    """Whose process it is; one of another container has a pid that says nothing here."""
    import pwd

    try:
        return pwd.getpwuid(os.stat(f"/proc/{pid}").st_uid).pw_name
    except (OSError, KeyError):
        return "a user who cannot be seen from here"


def judge(found: List[Gpu], uses: List[Use], owner: Callable[[str], str]) -> Finding:
    """The finding about these GPUs and uses."""
    if not found:
        return Finding("GPUs", OK, "none", "nvidia-smi lists none", facts={"gpu_count": 0})
    kinds: Dict[str, int] = {}
    for gpu in found:
        memory = f", {size(gpu.total_bytes)}" if gpu.total_bytes else ""
        kinds[gpu.name + memory] = kinds.get(gpu.name + memory, 0) + 1
    busy = []
    for gpu in found:
        here = [use for use in uses if use.uuid == gpu.uuid]
        for use in here:
            much = f" uses {size(use.used_bytes)}" if use.used_bytes is not None else " uses it"
            busy.append(f"GPU {gpu.number}: pid {use.pid} of {owner(use.pid)}{much}")
        if not here and gpu.used_bytes is not None and gpu.used_bytes > _IDLE_BYTES:
            busy.append(f"GPU {gpu.number}: {size(gpu.used_bytes)} in use by processes that cannot be seen from here")
    names = "; ".join(f"{count} x {kind}" for kind, count in kinds.items())
    facts = {"gpu_count": len(found), "busy": busy}
    if busy:
        hint = "wait, or set CUDA_VISIBLE_DEVICES to those that are free"
        return Finding("GPUs", WARN, f"{len(found)}, in use", f"{names}; {'; '.join(busy)}", hint, facts)
    return Finding("GPUs", OK, str(len(found)), f"{names}; nobody uses them", facts=facts)
