"""The folder of what is made once and used by every lab: host keys, other systems, an environment for jobs."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path


def cache_folder() -> Path:
    """$SCRIPTRUN_LAB_CACHE, else a folder that outlives reboots of this machine; readable by all users."""
    folder = Path(os.environ.get("SCRIPTRUN_LAB_CACHE", "/var/tmp/scriptrun-lab"))
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    return folder


@contextlib.contextmanager
def claimed(name: str) -> Iterator[Path]:
    """The entry `name` of the cache, for us alone while it is made."""
    folder = cache_folder()
    with open(folder / f"{name}.lock", "a") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield folder / name
