"""A company's package index: behind a certificate that only its own authority vouches for, and behind a password."""

from __future__ import annotations

import base64
import functools
import ssl
import subprocess
import sys
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LOGIN = "canary:canary-index"


class _Guarded(SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        wanted = f"Basic {base64.b64encode(LOGIN.encode()).decode()}"
        if self.headers.get("Authorization") == wanted:
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="packages"')
        self.end_headers()


def make_certificate(folder: Path) -> Path:
    """Writes `company.pem`, for 127.0.0.1 alone, and its key beside it; returns the certificate."""
    certificate = folder / "company.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=canary"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(folder / "company.key")]
    subprocess.run([*command, "-out", str(certificate)], check=True, capture_output=True)
    return certificate


def serve(folder: str, certificate: str) -> None:
    """Serves `folder` on a free port of 127.0.0.1, which it prints; until it is killed."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Guarded, directory=folder))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, Path(certificate).with_suffix(".key"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    serve(*sys.argv[1:])
