"""A bundle that holds no sidecar but a small program of the test's, so that what lands can be looked at closely."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path

from runner.transports.bundle import Bundle, BundleStore
from runner.transports.wheel_tags import NodePython
from sidecar.contract.layout import WorkspaceLayout
from sidecar.contract.stores import BundleContents, BundlesLayout

# Says with which arguments and where it runs, then returns every byte that it is sent.
ECHO = """
import json, os, sys
sys.stdout.write(json.dumps({"argv": sys.argv[1:], "cwd": os.getcwd(), "environ": dict(os.environ)}) + chr(10))
sys.stdout.flush()
while True:
    piece = os.read(0, 65536)
    if not piece:
        break
    while piece:
        piece = piece[os.write(1, piece):]
"""


class TinyBundles(BundleStore):
    """A store whose every bundle is `program` and `padding` incompressible bytes."""

    def __init__(self, workspace: WorkspaceLayout, program: str = ECHO, *, padding: bytes = b"") -> None:
        super().__init__(workspace)
        self._made = _make(workspace, program, padding)

    @property
    def bundle(self) -> Bundle:
        """The one bundle."""
        return self._made

    def bundle_for(self, node: NodePython) -> Bundle:
        """The same for every node."""
        return self._made


def _make(workspace: WorkspaceLayout, program: str, padding: bytes) -> Bundle:
    contents = {"sidecar/__init__.py": b"", "sidecar/__main__.py": program.encode(), "sidecar/padding": padding}
    manifest = BundleContents(Path()).manifest.name
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
        archive.writestr(manifest, json.dumps({name: len(content) for name, content in contents.items()}))
    sha256 = hashlib.sha256(stream.getvalue()).hexdigest()
    path = BundlesLayout(workspace.bundles).archive(sha256)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stream.getvalue())
    return Bundle(sha256=sha256, size_bytes=len(stream.getvalue()), path=path, extras=(), notes=())
