"""Makes the archive that is shipped to a node: the sidecar, and psutil and watchdog where a fitting wheel is at hand.

The same contents give the same bytes, and the archive is called by their hash, so a node is sent each one once.
"""

from __future__ import annotations

import hashlib
import io
import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from runner.errors import WorkspaceError
from runner.transports.wheel_tags import NodePython, fits
from sidecar import contract
from sidecar.contract import publish
from sidecar.contract.layout import WorkspaceLayout
from sidecar.contract.stores import BundleContents, BundlesLayout

if TYPE_CHECKING:
    from importlib.metadata import Distribution

EXTRAS = {"psutil": "the node's own measurements are left out", "watchdog": "files are only polled"}
_SIDECAR = Path(contract.__file__).parents[1]
# Any time will do, as long as it is always the same; zip knows none before this one.
_EPOCH = (1980, 1, 1, 0, 0, 0)
# Longer than any node takes to receive an archive.
_YOUNG_S = 3600
_NOT_SHIPPED = ("__pycache__", "tests")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """An archive in the workspace. `notes` say what was left out of it, a sentence each, for a person."""

    sha256: str
    size_bytes: int
    path: Path
    extras: tuple[str, ...]
    notes: tuple[str, ...]


class BundleStore:
    """The archives of one workspace; safe to be asked by many threads, which then wait for one of them to build."""

    def __init__(self, workspace: WorkspaceLayout) -> None:
        self._workspace = workspace
        self._layout = BundlesLayout(workspace.bundles)
        self._guard = threading.Lock()
        self._known: dict[NodePython, Bundle] = {}

    def bundle_for(self, node: NodePython) -> Bundle:
        """The archive for nodes like this one; made at most once. Raises WorkspaceError where it cannot be kept."""
        with self._guard:
            found = self._known.get(node)
            if found is None or not found.path.exists():
                found = self._known[node] = self._find(node)
            return found

    def _find(self, node: NodePython) -> Bundle:
        signature = self._signature()
        key = f"{node} {signature}"
        index = self._read_index()
        try:
            entry = index[key]
            found = Bundle(
                sha256=entry["sha256"],
                size_bytes=entry["size_bytes"],
                path=self._layout.archive(entry["sha256"]),
                extras=tuple(entry["extras"]),
                notes=tuple(entry["notes"]),
            )
            if found.path.stat().st_size == found.size_bytes:
                return found
        except (KeyError, TypeError, OSError):
            pass  # Never made, or removed by a person: it is made now.
        try:
            found = self._build(node)
            record = {name: value for name, value in asdict(found).items() if name != "path"}
            current = {name: entry for name, entry in index.items() if name.endswith(signature)}
            publish.write_whole(self._layout.choices, publish.to_json({**current, key: record}))
            self._drop_all_but({entry["sha256"] for entry in (*current.values(), record)})
        except OSError as error:
            raise WorkspaceError(f"cannot write the bundle for the nodes into {self._layout.root}: {error}") from error
        return found

    def _drop_all_but(self, kept: set[str]) -> None:
        """Removes archives of earlier versions; a young one may be on its way to a node, sent by another process."""
        names = {self._layout.archive(sha256).name for sha256 in kept}
        for path in self._layout.root.glob(self._layout.archive("*").name):
            if path.name not in names and time.time() - path.stat().st_mtime > _YOUNG_S:
                path.unlink(missing_ok=True)

    def _read_index(self) -> Mapping[str, Any]:
        try:
            return publish.read_record(self._layout.choices) or {}
        except (OSError, ValueError):
            return {}  # An index that cannot be read is made anew.

    def _signature(self) -> str:
        """Changes whenever an archive might: a file of the sidecar was touched, or a package installed."""
        digest = hashlib.sha256()
        for path in _files_below(_SIDECAR):
            state = path.stat()
            digest.update(f"{path}\0{state.st_size}\0{state.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
        for folder in (*sys.path, str(self._workspace.wheels)):
            if os.path.isdir(folder):
                digest.update(f"{folder}\0{os.stat(folder).st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def _build(self, node: NodePython) -> Bundle:
        files = {f"{_SIDECAR.name}/{path.relative_to(_SIDECAR).as_posix()}": path for path in _files_below(_SIDECAR)}
        contents = {name: (path.read_bytes(), os.access(path, os.X_OK)) for name, path in files.items()}
        extras, notes = [], []
        inside = BundleContents(Path())
        for name, consequence in EXTRAS.items():
            found = _installed_files(name, node) or _wheel_files(name, node, self._workspace.wheels)
            if found is None:
                notes.append(f"{name}: no wheel here fits {node}; {consequence}")
                continue
            extras.append(name)
            contents.update({f"{inside.site.as_posix()}/{path}": (data, False) for path, data in found.items()})
        sizes = {name: len(data) for name, (data, _) in sorted(contents.items())}
        contents[inside.manifest.as_posix()] = (publish.to_json(sizes), False)
        archive = _zip(contents)
        sha256 = hashlib.sha256(archive).hexdigest()
        self._layout.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        publish.write_whole(self._layout.archive(sha256), archive)
        return Bundle(
            sha256=sha256,
            size_bytes=len(archive),
            path=self._layout.archive(sha256),
            extras=tuple(extras),
            notes=tuple(notes),
        )


def _files_below(root: Path) -> Iterator[Path]:
    """Every file that ships, in an order of its own that does not change."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _NOT_SHIPPED)
        for name in sorted(names):
            if not name.endswith((".pyc", ".pyo")):
                yield Path(folder, name)


def _zip(contents: Mapping[str, tuple[bytes, bool]]) -> bytes:
    import zipfile

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name, (data, is_executable) in sorted(contents.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix, whatever this machine is: it decides how the mode is read.
            entry.external_attr = (0o100755 if is_executable else 0o100644) << 16
            archive.writestr(entry, data)
    return stream.getvalue()


def _installed_files(name: str, node: NodePython) -> dict[str, bytes] | None:
    """The package as it is installed beside the runner, where that fits the node too."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        found = distribution(name)
    except PackageNotFoundError:
        return None
    tags = [line.partition(":")[2] for line in (found.read_text("WHEEL") or "").splitlines() if line.startswith("Tag:")]
    if not any(fits(tag, node) for tag in tags):
        return None
    return _recorded_files(name, found)


def _recorded_files(name: str, found: Distribution) -> dict[str, bytes] | None:
    files = {}
    try:
        for entry in found.files or ():
            path = PurePosixPath(entry.as_posix())
            if _is_shipped(path, name):
                files[str(path)] = Path(str(entry.locate())).read_bytes()
    except OSError:
        return None  # Removed in part: as good as not installed.
    return files or None


def _wheel_files(name: str, node: NodePython, folder: Path) -> dict[str, bytes] | None:
    """The package out of a wheel that a person put into the workspace."""
    import zipfile

    for path in sorted(folder.glob(f"{name}-*.whl"), reverse=True):
        if not fits("-".join(path.stem.split("-")[-3:]), node):
            continue
        try:
            with zipfile.ZipFile(path) as archive:
                return {
                    entry: archive.read(entry)
                    for entry in archive.namelist()
                    if not entry.endswith("/") and _is_shipped(PurePosixPath(entry), name)
                }
        except (OSError, zipfile.BadZipFile):
            continue  # The note that no wheel fits is true of a broken one.
    return None


def _is_shipped(path: PurePosixPath, name: str) -> bool:
    return path.parts[0] == name and path.suffix != ".pyc" and not set(_NOT_SHIPPED) & set(path.parts)
