"""`python registry.py FOLDER`: gives the one image whose manifest.json and blobs lie there, and says its port."""

from __future__ import annotations

import hashlib
import http.server
import sys
from pathlib import Path

_KIND = "application/vnd.docker.distribution.manifest.v2+json"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder: Path

    def do_HEAD(self) -> None:
        """The same as GET without the content."""
        self.do_GET()

    def do_GET(self) -> None:
        """The greeting, the manifest, or a blob."""
        name = self.path.rpartition("/")[2]
        path = self.folder / "blobs" / name.partition(":")[2]
        if "/manifests/" in self.path:
            self._give((self.folder / "manifest.json").read_bytes(), _KIND)
        elif "/blobs/" in self.path and path.exists():
            self._give(path.read_bytes(), "application/octet-stream")
        else:
            self._give(b"{}", "application/json", status=200 if self.path.rstrip("/") == "/v2" else 404)

    def _give(self, content: bytes, kind: str, *, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Docker-Content-Digest", f"sha256:{hashlib.sha256(content).hexdigest()}")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


if __name__ == "__main__":
    _Handler.folder = Path(sys.argv[1])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
