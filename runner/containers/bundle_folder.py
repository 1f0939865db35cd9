"""The sidecar's code in a folder of its own, as containers mount it: nothing else of this Python comes along."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from runner.errors import WorkspaceError
from sidecar import contract
from sidecar.contract.layout import WorkspaceLayout
from sidecar.contract.stores import BundlesLayout

_SIDECAR = Path(contract.__file__).parents[1]
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "tests")


def bundle_place(workspace: WorkspaceLayout) -> Path:
    """Where the package `sidecar`, as it is now, is laid out; another version has another place."""
    return BundlesLayout(workspace.bundles).folder(f"here-{_signature()}")


def lay_out(folder: Path) -> None:
    """Fills the place unless that is done already. Raises WorkspaceError where it cannot be written."""
    if folder.is_dir():
        return
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}.new")
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copytree(_SIDECAR, unfinished / _SIDECAR.name, ignore=_LEFT_OUT, dirs_exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.rename(unfinished, folder)
    except OSError as error:
        if not folder.is_dir():
            raise WorkspaceError(f"cannot lay out the sidecar in {folder}: {error}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _signature() -> str:
    """Changes whenever a file of the sidecar was touched."""
    digest = hashlib.sha256()
    for path in _files():
        state = path.stat()
        digest.update(f"{path}\0{state.st_size}\0{state.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _files() -> Iterator[Path]:
    for folder, folders, names in os.walk(_SIDECAR):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(names):
            if not name.endswith(".pyc"):
                yield Path(folder, name)
