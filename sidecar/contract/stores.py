"""Builds every file and folder name of the caches of a workspace: snapshots, built environments, bundles; and of what
is kept of a run's copy on another server.

snapshots/
  <id>.json                one manifest a snapshot; the id is the sha256 of its bytes
  objects/<2 hex>/<sha256> file contents, shared by all snapshots
  incoming/                what is being written; renamed into `objects/` once it is whole
environments/
  <key>/                   a virtual environment; usable only once it holds `.complete`
  <key>.lock               held (flock) by the one who builds it; never removed
  <key>.failed             why the last build failed, for those who waited for it
  <key>.conda.yml          the conda file of a build under way
  images/                  locks and leftovers of image builds; the images themselves are the engine's
bundles/
  <sha256>/                on a node: the sidecar, laid out; the name is the hash of the archive it came in
  <sha256>.partial         on a node: as much of the archive as has arrived
  <sha256>.<pid>-<8 hex>.new, .broken    being laid out, or found damaged and on its way out
  <sha256>.zip             where it is sent from: the archive
  index.json               where it is sent from: which archive fits which nodes, so that it need not be made again
layers/
  blobs/<sha256>           part of an image: a layer, or its configuration; on a node only until the engine has it
  images/<sha256>.json     where they are sent from: the parts of the image with that id
  incoming/                what is not whole yet
inputs/
  listings/<sha256>.json   what a data set was at submit: names, sizes and times of its files
  sets/<id>.json           what its contents are, as a snapshot's manifest says it; the id is the sha256 of its bytes
  sets/<id>/, .lock        on a node: the data set, laid out once for all runs; its files are links to `objects/`
  objects/<2 hex>/<sha256> on a node: file contents; one that ends in `.unchecked` is whole, and not hashed yet
  incoming/                on a node: what is not whole yet
  hashes.db                where they are sent from: the hashes of files that have not changed since
runs/<run_id>/.state/
  mirror.json, .lock, .log how far the run has been copied to a user's MLflow server
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

    @property
    def images(self) -> Path:
        """Locks and leftovers of image builds lie here."""
        return self.root / "images"

    def image_lock(self, key: str) -> Path:
        """Held by who builds the image."""
        return self.images / f"{key}.lock"

    def image_steps(self, key: str) -> Path:
        """What the engine has made so far for the image whose build is under way."""
        return self.images / f"{key}.steps"

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


class BundlesLayout(NamedTuple):
    """The places in a store of bundles, on the side that sends them and on a node."""

    root: Path

    def folder(self, sha256: str) -> Path:
        """The bundle, laid out: the working directory of every part of the sidecar."""
        return self.root / sha256

    def partial(self, sha256: str) -> Path:
        """As much of the archive as has arrived; the next connection goes on from its end."""
        return self.root / f"{sha256}.partial"

    def archive(self, sha256: str) -> Path:
        """The archive that is sent."""
        return self.root / f"{sha256}.zip"

    @property
    def choices(self) -> Path:
        """Which archive fits which nodes."""
        return self.root / "index.json"


# In an archive of images, as `docker save` and `docker load` have it: which files are what.
ARCHIVE_MANIFEST = "manifest.json"


class LayersLayout(NamedTuple):
    """The places in a store of parts of images, on the side that sends them and on a node."""

    root: Path

    @classmethod
    def of(cls, work: Path) -> LayersLayout:
        """The store of a workspace, or of a node's work directory."""
        return cls(work / "layers")

    @property
    def blobs(self) -> Path:
        """The parts lie here."""
        return self.root / "blobs"

    def blob(self, sha256: str) -> Path:
        """The part with that hash."""
        return self.blobs / sha256

    def image(self, sha256: str) -> Path:
        """Which parts the image with that id has."""
        return self.root / "images" / f"{sha256}.json"

    @property
    def incoming(self) -> Path:
        """Parts that are not whole yet."""
        return self.root / "incoming"


class InputsLayout(NamedTuple):
    """The places in a store of data sets, on the side that sends them and on a node."""

    root: Path

    @classmethod
    def of(cls, work: Path) -> InputsLayout:
        """The store of a workspace, or of a node's work directory."""
        return cls(work / "inputs")

    def listing(self, sha256: str) -> Path:
        """What a data set was at submit."""
        return self.root / "listings" / f"{sha256}.json"

    @property
    def sets(self) -> Path:
        """Manifests, and on a node the data sets themselves, lie here."""
        return self.root / "sets"

    def manifest(self, set_id: str) -> Path:
        """The contents of the data set with that id."""
        return self.sets / f"{set_id}.json"

    def folder(self, set_id: str) -> Path:
        """The data set, laid out."""
        return self.sets / set_id

    def lock(self, set_id: str) -> Path:
        """Held by who lays the data set out; never removed."""
        return self.sets / f"{set_id}.lock"

    @property
    def objects(self) -> Path:
        """File contents by hash lie here."""
        return self.root / "objects"

    def object(self, sha256: str) -> Path:
        """The content with that hash."""
        return self.objects / sha256[:2] / sha256

    def unchecked(self, sha256: str) -> Path:
        """A content that is whole, and is to be hashed before anybody uses it."""
        return self.objects / sha256[:2] / f"{sha256}.unchecked"

    @property
    def incoming(self) -> Path:
        """Contents that are not whole yet."""
        return self.root / "incoming"

    @property
    def hashes(self) -> Path:
        """The hashes of files that have not changed since, by path."""
        return self.root / "hashes.db"


class BundleContents(NamedTuple):
    """The places inside a bundle."""

    root: Path

    @property
    def manifest(self) -> Path:
        """The size of every file, so that a damaged bundle is found without reading it."""
        return self.root / "bundle-manifest.json"

    @property
    def site(self) -> Path:
        """psutil and watchdog, where they fit the node."""
        return self.root / "site"


class MirrorLayout(NamedTuple):
    """The places of the process that copies a run to a user's MLflow server."""

    root: Path

    @property
    def state(self) -> Path:
        """How far it is."""
        return self.root / "mirror.json"

    @property
    def lock(self) -> Path:
        """Locked (flock) by the one process that copies the run."""
        return self.root / "mirror.lock"

    @property
    def log(self) -> Path:
        """What it has to say: when the server was out of reach, what it refused."""
        return self.root / "mirror.log"
