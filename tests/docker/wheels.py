"""What MPI jobs in containers install: fetched once on this machine, since the containers reach no package index."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.lab.cache import cache_folder, claimed


def mpi_wheels() -> Path:
    """A folder with mpi4py and MPICH for the Python 3.9 of the image."""
    (cache_folder() / "wheels").mkdir(exist_ok=True)
    with claimed("wheels/mpi-cp39") as kept:
        if not kept.exists():
            platforms = [f"manylinux{tag}_x86_64" for tag in ("_2_28", "_2_17", "2014", "_2_5")]
            wanted = ["--only-binary=:all:", "--python-version=3.9", *(f"--platform={name}" for name in platforms)]
            pip = [sys.executable, "-m", "pip", "download", "--quiet", *wanted, "mpi4py>=4", "mpich"]
            part = kept.with_suffix(".part")
            subprocess.run([*pip, "--dest", str(part)], check=True, timeout=600)
            part.rename(kept)
        return kept
