"""A run's snapshot, taken afterwards or given back as an archive (azureml-v1.md 2.5)."""

from __future__ import annotations

import dataclasses
import os
import shutil
import stat
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import SnapshotError
from runner.history.record_update import update_record
from runner.history.run_record import RunRecord
from runner.sdk.exceptions import SnapshotException
from sidecar.contract import snapshot_manifest
from sidecar.contract.snapshot_manifest import Entry
from sidecar.contract.stores import SnapshotsLayout

if TYPE_CHECKING:
    from runner.sdk.experiment import Experiment

_PROPERTY = "ContentSnapshotId"


def take(experiment: Experiment, run_id: str, path: str) -> str:
    """Keeps the folder as the run's snapshot; returns its id. Raises SnapshotException."""
    from runner.store.snapshots import Snapshots

    workspace = experiment.workspace.layout
    if _PROPERTY in experiment.record_of(run_id).properties:
        raise SnapshotException("Cannot take snapshot as the run already has one")
    try:
        snapshot = Snapshots(workspace.snapshots).take(Path(path))
    except SnapshotError as error:
        raise SnapshotException(f"While attempting to take snapshot of {path}\n{error.message}", error) from error
    kept = {"id": snapshot.id, "file_count": snapshot.file_count, "size_bytes": snapshot.size_bytes}

    def change(record: RunRecord) -> RunRecord:
        return dataclasses.replace(
            record, properties={**record.properties, _PROPERTY: snapshot.id}, snapshot=record.snapshot or kept
        )

    update_record(workspace.run(run_id), change)
    return snapshot.id


def restore(experiment: Experiment, run_id: str, snapshot_id: str | None, folder: str) -> str:
    """Writes `<snapshot id>.zip`; returns its path. Raises SnapshotException where there is no snapshot."""
    wanted = snapshot_id or experiment.record_of(run_id).properties.get(_PROPERTY)
    if wanted is None:
        raise SnapshotException(f"The run {run_id} has no snapshot.")
    store = SnapshotsLayout(experiment.workspace.layout.snapshots)
    try:
        entries = snapshot_manifest.decode(store.manifest(wanted).read_bytes())
        os.makedirs(folder, exist_ok=True)
        archive = os.path.join(folder, f"{wanted}.zip")
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
            for entry in entries:
                _add(target, entry, store)
    except (OSError, ValueError) as error:
        raise SnapshotException(f"The snapshot {wanted} cannot be restored: {error}", error) from error
    return archive


def _add(target: zipfile.ZipFile, entry: Entry, store: SnapshotsLayout) -> None:
    if "dir" in entry:
        target.writestr(zipfile.ZipInfo(entry["path"] + "/"), b"")
        return
    is_link = "link" in entry
    info = zipfile.ZipInfo(entry["path"])
    info.external_attr = ((stat.S_IFLNK | 0o777) if is_link else (stat.S_IFREG | int(entry["mode"], 8))) << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    if is_link:
        target.writestr(info, entry["link"])
        return
    info.file_size = entry["size"]
    with open(store.object(entry["sha256"]), "rb") as source, target.open(info, "w") as copy:
        shutil.copyfileobj(source, copy)
