"""The files that a script uploads to its run: under which name they lie where (docs/metrics.md), each once.

A file is copied aside and linked to its place, so that nobody ever sees half of one.
"""

from __future__ import annotations

import os

from scriptrun_job.errors import UserErrorException

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any, List

OUTPUTS, LOGS, ARTIFACTS, CHILDREN = "outputs", "logs", "artifacts", "children"
_COPY_BYTES = 1024 * 1024


class Artifacts:
    """The files of one run; `state` is where the processes of the job on this node settle who was first."""

    def __init__(self, root: str, state: str, *, run_id: str, is_child: bool) -> None:
        self._root = os.path.join(root, CHILDREN, run_id) if is_child else root
        self._uploads = os.path.join(state, "uploads")
        self._run_id = run_id

    def place(self, name: str) -> str:
        """Where the file called `name` lies. Raises UserErrorException for a name that leaves the run."""
        clean = os.path.normpath(str(name))
        if not name or os.path.isabs(clean) or clean.split(os.sep)[0] in ("..", ".") or "\0" in clean:
            raise UserErrorException(f"{name!r} is no name for a file of a run: it must be relative and stay inside.")
        top, _, rest = clean.partition(os.sep)
        return os.path.join(self._root, clean) if top in (OUTPUTS, LOGS) and rest else self._aside(clean)

    def _aside(self, name: str) -> str:
        return os.path.join(self._root, ARTIFACTS, name)

    def add(self, name: str, source: Any) -> int:
        """Keeps a copy of the file or stream `source` under `name`; returns its size in bytes.

        Raises UserErrorException where the run has such a file, or `source` is none; OSError where it cannot be kept.
        """
        target = self.place(name)
        os.makedirs(self._uploads, exist_ok=True)
        mark = self._claim(name)
        temporary = f"{mark}.{os.getpid()}.tmp"
        try:
            try:
                size = _copy(source, temporary)
                os.makedirs(os.path.dirname(target), exist_ok=True)
                self._link(temporary, target, name)
            finally:
                if os.path.lexists(temporary):
                    os.unlink(temporary)
        except BaseException:
            os.unlink(mark)  # Nothing was added, so another may.
            raise
        return size

    def add_unique(self, name: str, source: Any) -> str:
        """As `add`, but finds a name that is free; returns it."""
        stem, ending = os.path.splitext(name)
        number, free = 0, name
        while True:
            try:
                self.add(free, source)
                return free
            except _NameTaken:
                number += 1
                free = f"{stem}_{number}{ending}"

    def names(self) -> List[str]:
        """The name of every file of the run that is on this node."""
        found = []
        for folder, folders, files in os.walk(self._root):
            if folder == self._root:
                folders[:] = [name for name in folders if name[0] != "." and name != CHILDREN]
                files = []
            found += [os.path.relpath(os.path.join(folder, name), self._root) for name in files if name[0] != "."]
        return sorted(name[len(ARTIFACTS) + 1 :] if name.startswith(f"{ARTIFACTS}{os.sep}") else name for name in found)

    def find(self, name: str) -> str:
        """The place of a file that is there. Raises UserErrorException naming what there is."""
        clean = os.path.normpath(str(name))
        for path in (self.place(clean), os.path.join(self._root, clean)):
            if os.path.isfile(path):
                return path
        listing = "\n".join(self.names()[:50])
        raise UserErrorException(f"File with path {name} was not found,\navailable files include:\n{listing}")

    def _claim(self, name: str) -> str:
        import hashlib

        place = self.place(name)
        mark = os.path.join(self._uploads, hashlib.sha256(place.encode("utf-8", "surrogatepass")).hexdigest()[:32])
        try:
            os.close(os.open(mark, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            raise _NameTaken(self._run_id, name) from None
        return mark

    def _link(self, temporary: str, target: str, name: str) -> None:
        try:
            os.link(temporary, target)
        except FileExistsError:
            # The script's own file of that name may have been collected before: the same bytes are no conflict.
            import filecmp

            if not os.path.isfile(target) or not filecmp.cmp(temporary, target, shallow=False):
                raise _NameTaken(self._run_id, name) from None
        except PermissionError:  # A file system without hard links.
            os.rename(temporary, target)


class _NameTaken(UserErrorException):
    """The run has a file of that name."""

    def __init__(self, run_id: str, name: str) -> None:
        super().__init__(f"Resource Conflict: ArtifactId ExperimentRun/dcid.{run_id}/{name} already exists.")


_NameTaken.__name__ = UserErrorException.__name__  # What a script prints of it is what v1 prints.


def _copy(source: Any, target: str) -> int:
    read = getattr(source, "read", None)
    if read is None:
        if not os.path.isfile(source):
            raise UserErrorException(f"File path doesn't exist: {source}")
        with open(source, "rb") as stream:
            return _copy_stream(stream.read, target)
    return _copy_stream(read, target)


def _copy_stream(read: Any, target: str) -> int:
    size = 0
    with open(target, "wb") as copy:
        while True:
            content = read(_COPY_BYTES)
            if not content:
                return size
            size += copy.write(content.encode("utf-8") if isinstance(content, str) else content)
