"""The virtual environments of a workspace: which there are, and which of them no run needs."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from runner.errors import RunnerError
from runner.history.run_record import read_record
from sidecar.contract import publish
from sidecar.contract.layout import WorkspaceLayout
from sidecar.contract.stores import EnvironmentsLayout

# The key of whatever a run uses that has only begun.
ANY = "*"


def list_environments(workspace: WorkspaceLayout) -> Iterator[dict[str, Any]]:
    """One record an environment that is complete: kind, key, name, size_bytes, created_utc, is_used."""
    layout = EnvironmentsLayout(workspace.environments)
    used = set(keys_in_use(workspace))
    for folder in sorted(layout.root.glob("*")) if layout.root.is_dir() else ():
        record = _marker(layout, folder.name)
        if record is not None:
            yield {
                "kind": "venv",
                "key": folder.name,
                "name": f"Python {record.get('python', '?')}",
                "size_bytes": _size(folder),
                "created_utc": str(record.get("created_utc", "")),
                "is_used": folder.name in used or ANY in used,
            }


def keys_in_use(workspace: WorkspaceLayout) -> Iterator[str | None]:
    """The keys of environments and images that runs which have not ended were given; ANY of one that may take any."""
    for folder in sorted(workspace.runs.glob("*")) if workspace.runs.is_dir() else ():
        try:
            record = read_record(workspace.run(folder.name))
        except (RunnerError, OSError, ValueError, KeyError, TypeError):
            continue  # A folder that is no run's, or is just being removed: it uses nothing.
        if not record.status.is_terminal:
            yield record.environment["key"] if record.environment else ANY


def remove_environment(workspace: WorkspaceLayout, key: str) -> bool:
    """Removes one; False where somebody builds it at this moment. Raises OSError."""
    layout = EnvironmentsLayout(workspace.environments)
    descriptor = os.open(layout.lock(key), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # The marker first: whatever happens on the way, half an environment never counts.
        layout.marker(key).unlink(missing_ok=True)
        shutil.rmtree(layout.folder(key))
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def is_older(record: Mapping[str, Any], days: float) -> bool:
    """Whether it was made longer than `days` ago."""
    limit = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - days * 86400))
    return str(record["created_utc"]) <= limit


def _marker(layout: EnvironmentsLayout, key: str) -> dict[str, Any] | None:
    try:
        return publish.read_record(layout.marker(key))
    except (OSError, ValueError):
        return None


def _size(folder: Path) -> int:
    """What removing the folder frees: a file that other folders have too (a link of uv's cache) is not counted."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            state = os.lstat(os.path.join(parent, name))
            total += state.st_blocks * 512 if state.st_nlink == 1 else 0
    return total
