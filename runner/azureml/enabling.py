"""Makes `import azureml.core` work in one Python: one line in a .pth file, which is all there is to remove again."""

from __future__ import annotations

import importlib.metadata
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.errors import MachineError, UsageError

_FILE = "scriptrun-azureml.pth"
# How Microsoft's packages begin that put modules below `azureml`; the names of both at once could not be told apart.
_REAL = "azureml-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enabling:
    """How it stands in this Python: where the .pth file is or would be, and what stands in the way."""

    file: Path
    is_enabled: bool
    real_packages: tuple[str, ...]


def names_folder() -> Path:
    """The folder that holds the package `azureml`."""
    return Path(__file__).parent / "site"


def read_status(site_packages: Path | None = None) -> Enabling:
    """How it stands in this Python, or in the one with these `site_packages`."""
    folder = site_packages or Path(sysconfig.get_path("purelib"))
    places = sys.path if site_packages is None else [str(site_packages)]
    file = folder / _FILE
    return Enabling(file=file, is_enabled=_points_here(file), real_packages=_real_packages(places))


def enable(site_packages: Path | None = None) -> Enabling:
    """Writes the .pth file. Raises UsageError where a real azureml-core is installed, MachineError where it may not."""
    status = read_status(site_packages)
    if status.real_packages:
        raise UsageError(
            f"{', '.join(status.real_packages)} is installed in this Python; its names and these would be mixed",
            hint=f"pip uninstall {' '.join(status.real_packages)}, or use another virtual environment",
        )
    try:
        status.file.write_text(f"{names_folder()}\n", encoding="utf-8")
    except OSError as error:
        raise MachineError(
            f"cannot write {status.file}: {error.strerror}", hint="use a virtual environment of your own"
        ) from error
    return read_status(site_packages)


def disable(site_packages: Path | None = None) -> bool:
    """Removes the .pth file; False where there was none. Raises MachineError where it cannot be removed."""
    status = read_status(site_packages)
    try:
        status.file.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise MachineError(f"cannot remove {status.file}: {error.strerror}") from error
    return True


def _points_here(file: Path) -> bool:
    try:
        return file.read_text(encoding="utf-8").strip() == str(names_folder())
    except OSError:
        return False


def _real_packages(places: Sequence[str]) -> tuple[str, ...]:
    found = set()
    for distribution in importlib.metadata.distributions(path=[*places]):
        name = (distribution.metadata["Name"] or "").lower().replace("_", "-")
        if name.startswith(_REAL):
            found.add(name)
    return tuple(sorted(found))
