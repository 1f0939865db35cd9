"""An engine that is shut down at the worst moment: it lists a container, and hangs up when that is to be removed."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer

_ANSWERS = {
    "/version": {"ApiVersion": "1.41", "Version": "20.10.24"},
    "/containers/json": [{"Id": "0123456789ab", "Names": ["/left-behind"], "State": "running", "Labels": {}}],
}


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        found = next((answer for end, answer in _ANSWERS.items() if path.endswith(end)), [])
        content = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_DELETE(self) -> None:
        self.close_connection = True

    def address_string(self) -> str:
        return "a socket"

    def log_message(self, format: str, *arguments: object) -> None:
        pass


class EngineThatHangsUp(ThreadingMixIn, UnixStreamServer):
    """Listens on a socket in `folder` until it is closed; `address` is for DOCKER_HOST."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(str(folder / "s"), _Answer)
        self.address = f"unix://{folder}/s"
        self._thread = threading.Thread(target=self.serve_forever)
        self._thread.start()

    def close(self) -> None:
        """Ends it."""
        self.shutdown()
        self._thread.join()
        self.server_close()
