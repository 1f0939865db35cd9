"""One process of the job on this node at a time."""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False  # `typing` would cost every process more than the rest of this package.
if TYPE_CHECKING:
    from typing import Any


class alone:  # noqa: N801 - used as a verb: `with alone(path):`
    """Holds the folder of `path` for as long as the `with` lasts; a process that dies gives it back."""

    def __init__(self, path: str) -> None:
        self._folder = os.path.dirname(path)
        self._descriptor = -1

    def __enter__(self) -> None:
        self._descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        except OSError:  # A file system without locks: then two processes at once may both add.
            pass

    def __exit__(self, *_: Any) -> None:
        os.close(self._descriptor)
