"""A registry that exists for one push of this machine's own engine: so it hands over single layers, compressed.

`docker save` packs a whole image, however little of it is missing elsewhere; a push asks first what is there already.
Only on the loopback, only while it is needed, under a name that nobody can guess.
"""

from __future__ import annotations

import errno
import hashlib
import http.server
import json
import os
import re
import secrets
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, NamedTuple

from sidecar.contract.stores import LayersLayout

_LOOPBACK = "127.0.0.1"
_FOLDER = "scriptrun"
# The name that an image has while it is pushed; a controller that is killed meanwhile leaves it.
_PUSHED = re.compile(rf"^{re.escape(_LOOPBACK)}:(\d+)/{_FOLDER}/[0-9a-f]{{32}}:latest$")
PUSHED_NAMES = f"{_LOOPBACK}:*/{_FOLDER}/*"
_PIECE_BYTES = 256 * 1024
# How a TLS connection begins.
_TLS_HELLO = b"\x16"
_DIGEST = re.compile(r"^sha256:([0-9a-f]{64})$")


def is_left_behind(name: str) -> bool:
    """Whether an image was given this name for a push to a registry that is no more."""
    found = _PUSHED.match(name)
    if found is None:
        return False
    with socket.socket() as connection:
        return connection.connect_ex((_LOOPBACK, int(found[1]))) == errno.ECONNREFUSED


class _Upload(NamedTuple):
    path: Path
    digest: Any


class LoopbackRegistry:
    """Takes what is pushed to `repository` into the store; use it in a `with`."""

    def __init__(self, store: LayersLayout) -> None:
        self.store = store
        self.manifest: dict[str, Any] | None = None
        self.taken_bytes = 0
        self.uploads: dict[str, _Upload] = {}
        self._token = f"{_FOLDER}/{secrets.token_hex(16)}"
        for folder in (store.blobs, store.incoming):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler = type("_BoundHandler", (_Handler,), {"registry": self, "prefix": f"/v2/{self._token}"})
        self._server = http.server.ThreadingHTTPServer((_LOOPBACK, 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, name="registry", daemon=True)

    @property
    def repository(self) -> str:
        """What to push to."""
        return f"{_LOOPBACK}:{self._server.server_port}/{self._token}"

    def __enter__(self) -> LoopbackRegistry:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for upload in self.uploads.values():
            upload.path.unlink(missing_ok=True)


class _Handler(http.server.BaseHTTPRequestHandler):
    """The part of the distribution protocol that a push needs."""

    protocol_version = "HTTP/1.1"
    registry: LoopbackRegistry
    prefix: str

    def handle(self) -> None:
        """Serves a connection. An engine with containerd's store tries TLS: told in plain HTTP, it does without."""
        if self.connection.recv(1, socket.MSG_PEEK) == _TLS_HELLO:
            self.connection.recv(_PIECE_BYTES)  # Bytes that nobody read would make the end a reset.
            self.connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
        else:
            super().handle()

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing: the engine tells what goes wrong."""

    def do_GET(self) -> None:
        """The greeting; nothing else is ever asked for."""
        self._answer(200 if self.path.rstrip("/") == "/v2" else 404)

    def do_HEAD(self) -> None:
        """Whether a blob is here."""
        path = self._blob_path()
        if path is None or not path.exists():
            self._answer(404)
        else:
            self._answer(200, {"Docker-Content-Digest": self.path.rpartition("/")[2]}, length=path.stat().st_size)

    def do_POST(self) -> None:
        """Begins an upload."""
        if not self.path.startswith(f"{self.prefix}/blobs/uploads"):
            self._answer(404)
            return
        name = secrets.token_hex(16)
        path = self.registry.store.incoming / f"{name}.push"
        path.touch(mode=0o600)
        self.registry.uploads[name] = _Upload(path, hashlib.sha256())
        self._read_body(None)
        self._say_where(name, 202, 0)

    def do_PATCH(self) -> None:
        """Bytes of an upload."""
        name = self._upload_name()
        if name is None:
            self._answer(404)
            return
        upload = self.registry.uploads[name]
        with open(upload.path, "ab") as stream:
            self._read_body(stream, upload.digest)
        self._say_where(name, 202, upload.path.stat().st_size)

    def do_PUT(self) -> None:
        """The end of an upload, or the manifest."""
        if self.path.startswith(f"{self.prefix}/manifests/"):
            content = self.rfile.read(int(self.headers["Content-Length"]))
            self.registry.manifest = json.loads(content)
            self._answer(201, {"Docker-Content-Digest": f"sha256:{hashlib.sha256(content).hexdigest()}"})
            return
        name = self._upload_name()
        wanted = re.search(r"[?&]digest=sha256(?::|%3A)([0-9a-f]{64})", self.path)
        if name is None or wanted is None:
            self._answer(404)
            return
        upload = self.registry.uploads[name]
        with open(upload.path, "ab") as stream:
            self._read_body(stream, upload.digest)
        if upload.digest.hexdigest() != wanted[1]:
            self._answer(400)
            return
        os.replace(upload.path, self.registry.store.blob(wanted[1]))
        del self.registry.uploads[name]
        self._answer(201, {"Docker-Content-Digest": f"sha256:{wanted[1]}"})

    def _blob_path(self) -> Path | None:
        found = _DIGEST.match(self.path.rpartition("/")[2])
        is_blob = self.path.startswith(f"{self.prefix}/blobs/") and found is not None
        return self.registry.store.blob(found[1]) if is_blob and found is not None else None

    def _upload_name(self) -> str | None:
        name = self.path.partition("?")[0].rpartition("/")[2]
        return name if self.path.startswith(self.prefix) and name in self.registry.uploads else None

    def _read_body(self, stream: BinaryIO | None, digest: Any = None) -> None:
        for piece in self._pieces():
            if stream is not None:
                stream.write(piece)
                digest.update(piece)
                self.registry.taken_bytes += len(piece)

    def _pieces(self) -> Any:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            left = int(self.headers.get("Content-Length") or 0)
            while left and (piece := self.rfile.read(min(left, _PIECE_BYTES))):
                left -= len(piece)
                yield piece
            return
        while left := int(self.rfile.readline(64).split(b";")[0], 16):
            while left and (piece := self.rfile.read(min(left, _PIECE_BYTES))):
                left -= len(piece)
                yield piece
            self.rfile.readline(8)
        self.rfile.readline(8)

    def _say_where(self, name: str, status: int, size: int) -> None:
        place = f"{self.prefix}/blobs/uploads/{name}"
        self._answer(status, {"Location": place, "Docker-Upload-UUID": name, "Range": f"0-{max(0, size - 1)}"})

    def _answer(self, status: int, headers: dict[str, str] | None = None, *, length: int = 0) -> None:
        self.send_response(status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
