"""Builds every file and folder name of the two caches of a workspace: snapshots, and built environments.

snapshots/
  <id>.json                one manifest a snapshot; the id is the sha256 of its bytes
  objects/<2 hex>/<sha256> file contents, shared by all snapshots
  incoming/                what is being written; renamed into `objects/` once it is whole
environments/
  <key>/                   a virtual environment; usable only once it holds `.complete`
  <key>.lock               held (flock) by the one who builds it; never removed
  <key>.failed             why the last build failed, for those who waited for it
  <key>.conda.yml          the conda file of a build under way
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class SnapshotsLayout(NamedTuple):
    """The places in a store of snapshots."""

    root: Path

    @property
    def objects(self) -> Path:
        """File contents by hash lie here."""
        return self.root / "objects"

    def object(self, sha256: str) -> Path:
        """The content with that hash."""
        return self.objects / sha256[:2] / sha256

    def manifest(self, snapshot_id: str) -> Path:
        """The manifest of one snapshot."""
        return self.root / f"{snapshot_id}.json"

    @property
    def incoming(self) -> Path:
        """Contents that are not whole yet; whatever a crash left here is harmless."""
        return self.root / "incoming"


class EnvironmentsLayout(NamedTuple):
    """The places in a cache of environments."""

    root: Path

    def folder(self, key: str) -> Path:
        """The environment itself."""
        return self.root / key

    def marker(self, key: str) -> Path:
        """Exists once the environment is complete."""
        return self.folder(key) / ".complete"

    def requirements(self, key: str) -> Path:
        """The requirements file of a build under way; it may hold an index's password, so it does not stay."""
        return self.root / f"{key}.requirements.txt"

    def lock(self, key: str) -> Path:
        """Held by who builds the environment."""
        return self.root / f"{key}.lock"

    def failure(self, key: str) -> Path:
        """Why the last build failed."""
        return self.root / f"{key}.failed"

    def conda_file(self, key: str) -> Path:
        """The conda file of a build under way; the environment's folder may not exist before conda makes it."""
        return self.root / f"{key}.conda.yml"
