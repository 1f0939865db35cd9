"""`python -m tests.loggers.environments`: makes what these tests need in `.venv-loggers`; 2 GB, so only on demand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".venv-loggers"

# PyTorch is pinned to a release whose wheel on the index computes on CPUs alone, a tenth of the others' size.
_REQUIREMENTS = {
    "oldest": ("mlflow==2.9.2", "setuptools<81", "pytest"),
    "newest": ("mlflow", "pytest", "scikit-learn", "keras", "lightning", "transformers", "accelerate", "torch==2.13.0"),
}


def python_of(name: str) -> Path:
    """The interpreter of one of the two environments."""
    return FOLDER / name / "bin" / "python"


def problem() -> str | None:
    """Why the tests cannot run; None where they can."""
    missing = [name for name, wanted in _REQUIREMENTS.items() if _made(name) != "\n".join(wanted)]
    return f"no {FOLDER.name} with MLflow, PyTorch and their loggers, about 2 GB (make loggers)" if missing else None


def _made(name: str) -> str | None:
    marker = FOLDER / name / ".made"
    return marker.read_text() if marker.is_file() else None


def main() -> None:
    """Makes the environments that are missing."""
    uv = Path(sys.executable).with_name("uv")
    for name, wanted in _REQUIREMENTS.items():
        if _made(name) == "\n".join(wanted):
            continue
        print(f"installing into {FOLDER.name}/{name}: {', '.join(wanted)}")
        install: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", python_of(name)]
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, FOLDER / name], check=True)
        subprocess.run([*install, *wanted], check=True)
        # This checkout, for `mlflow server` over a workspace.
        subprocess.run([*install, "--editable", ROOT], check=True)
        (FOLDER / name / ".made").write_text("\n".join(wanted))


if __name__ == "__main__":
    main()
