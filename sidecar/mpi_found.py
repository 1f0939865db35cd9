"""Finds the MPI of the job's environment on this node, and says whose it is."""

from __future__ import annotations

import os
import re
import subprocess
from typing import Any, Dict, List, Mapping, Optional, Tuple

_LAUNCHERS = ("mpiexec", "mpirun")
_LIMIT_S = 20.0
MPICH = "MPICH"
OPEN_MPI = "Open MPI"
INTEL_MPI = "Intel MPI"


class NoMpi(Exception):
    """There is no MPI launcher, or none that we know; the message says where was looked."""


def find(bin_folder: Optional[str], environ: Mapping[str, str]) -> Dict[str, Any]:
    """{"mpiexec": path, "flavour": MPICH, Open MPI or Intel MPI, "version": "5.0.2"}.

    The environment's own MPI comes before the machine's: a wheel's library with another's launcher is how ranks end
    up each alone in a world of one. Raises NoMpi.
    """
    searched: List[str] = [bin_folder] if bin_folder else []
    searched += environ.get("PATH", os.defpath).split(os.pathsep)
    for folder in searched:
        for name in _LAUNCHERS:
            path = os.path.join(folder, name)
            if os.access(path, os.X_OK) and not os.path.isdir(path):
                flavour, version = ask(path, environ)
                return {"mpiexec": path, "flavour": flavour, "version": version}
    raise NoMpi(f"no {' or '.join(_LAUNCHERS)} in {bin_folder or 'the environment'} nor on the PATH")


def ask(mpiexec: str, environ: Mapping[str, str]) -> Tuple[str, str]:
    """(flavour, version) as the launcher itself says. Raises NoMpi for one that we do not know."""
    try:
        answer = subprocess.run(
            [mpiexec, "--version"], capture_output=True, timeout=_LIMIT_S, env=dict(environ), check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoMpi(f"{mpiexec} --version: {error}") from error
    return parse(mpiexec, (answer.stdout + answer.stderr).decode("utf-8", "replace"))


def parse(mpiexec: str, text: str) -> Tuple[str, str]:
    """(flavour, version) from what `mpiexec --version` printed."""
    version = re.search(r"(\d+\.\d+(?:\.\d+)?\w*)", text)
    number = version[1] if version else "?"
    if "Open MPI" in text or "OpenRTE" in text or "PRRTE" in text:
        return OPEN_MPI, number
    if "Intel" in text:
        return INTEL_MPI, number
    if "HYDRA" in text.upper() or "MPICH" in text:
        return MPICH, number
    raise NoMpi(f"{mpiexec} is of no MPI that we know: {text.strip().splitlines()[:1]}")
