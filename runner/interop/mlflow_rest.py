"""MLflow's REST interface as far as the mirror needs it, with nothing but the standard library.

Paths and bodies are those that the client sends (reference mlflow-metrics-studio.md 3); every call has a time limit.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from sidecar.contract import settings

# A server that takes longer has a problem; shorter, and a busy one is taken for one that is down.
_LIMIT_S = 60.0
_API = "/api/2.0/mlflow"
_FILES = "/api/2.0/mlflow-artifacts/artifacts"
_PROXIED = "mlflow-artifacts"
# What a server says that is only busy, or not ready, or wants another login: the same call may do later.
_MAY_DO_LATER = frozenset({401, 403, 408, 425, 429})
# So answers, without a word of MLflow's, what stands before a server that is away, or another address.
_NOT_THERE = frozenset({404, 405})
ABSENT = "RESOURCE_DOES_NOT_EXIST"


class ServerAway(Exception):
    """The server did not answer, or not now; the same call may succeed later."""


class Refused(Exception):
    """The server understood and will never take it; `code` is MLflow's word for why."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Following one would make a POST a GET, and show the login to another server."""

    def redirect_request(self, *_: Any) -> None:
        return None


class MlflowServer:
    """A user's MLflow server; safe to be asked again for anything that failed."""

    def __init__(self, address: str, environ: Mapping[str, str]) -> None:
        self._base = address.rstrip("/")
        self._headers = {**_login(environ), "User-Agent": "scriptrun-mirror"}
        self._environ = environ
        self._opener: urllib.request.OpenerDirector | None = None

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """The answer to `POST path`, as `runs/log-batch`. Raises ServerAway or Refused."""
        content = json.dumps(body).encode("utf-8")
        return self._ask("POST", f"{_API}/{path}", content, {"Content-Type": "application/json"})

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """The answer to `GET path`. Raises ServerAway or Refused."""
        return self._ask("GET", f"{_API}/{path}?{urlencode(query)}", None, {})

    def put_file(self, artifact_uri: str, name: str, source: Path) -> None:
        """Sends a file to be `name` among a run's artifacts. Raises Refused where the server takes no files itself."""
        parts = urlsplit(artifact_uri)
        if parts.scheme != _PROXIED:
            raise Refused(f"the server keeps files at {artifact_uri}, out of its own hands")
        path = quote(f"{parts.path.strip('/')}/{name}")
        with open(source, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size)}
            self._ask("PUT", f"{_FILES}/{path}", stream, headers)

    def _ask(self, method: str, path: str, content: Any, headers: Mapping[str, str]) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - the address was checked to be http or https
            self._base + path, data=content, headers={**self._headers, **headers}, method=method
        )
        try:
            with self._open(request) as answer:
                text = answer.read()
        except urllib.error.HTTPError as error:
            with error:
                raise _failure(error, f"{method} {path.partition('?')[0]}") from error
        except (OSError, http.client.HTTPException) as error:
            raise ServerAway(str(getattr(error, "reason", None) or error) or type(error).__name__) from error
        try:
            found = json.loads(text or b"{}")
        except ValueError as error:
            raise ServerAway(f"{method} {path}: the answer is not MLflow's") from error
        return found if isinstance(found, dict) else {}

    def _open(self, request: urllib.request.Request) -> Any:
        if self._opener is None:
            self._opener = urllib.request.build_opener(_NoRedirects, urllib.request.HTTPSHandler(context=self._tls()))
        return self._opener.open(request, timeout=_LIMIT_S)

    def _tls(self) -> ssl.SSLContext | None:
        if urlsplit(self._base).scheme != "https":
            return None
        context = ssl.create_default_context(cafile=self._environ.get(settings.MLFLOW_TRACKING_SERVER_CERT_PATH))
        if self._environ.get(settings.MLFLOW_TRACKING_INSECURE_TLS, "").lower() in ("1", "true"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _failure(error: urllib.error.HTTPError, what: str) -> ServerAway | Refused:
    """Whether what failed may succeed later."""
    try:
        code, words = _words(error.read(10_000))
    except (OSError, http.client.HTTPException):  # The rest of the answer never came.
        code, words = None, error.reason
    message = f"{what}: {error.code} {words}"
    if error.code < 400:
        return ServerAway(f"{what}: the server sends on to {error.headers.get('Location')}; name that one")
    if error.code >= 500 or error.code in _MAY_DO_LATER or (code is None and error.code in _NOT_THERE):
        return ServerAway(message)
    return Refused(message, code)


def _words(answer: bytes) -> tuple[str | None, str]:
    """(MLflow's code, where it is an answer of MLflow's; what it says, on one line)."""
    try:
        value = json.loads(answer)
        code, text = str(value["error_code"]), str(value.get("message"))
    except (ValueError, AttributeError, LookupError, TypeError):
        code, text = None, answer.decode("utf-8", "replace")
    return code, " ".join(text.split())[:300]


def _login(environ: Mapping[str, str]) -> dict[str, str]:
    token = environ.get(settings.MLFLOW_TRACKING_TOKEN)
    if token:
        return {"Authorization": f"Bearer {token}"}
    user = environ.get(settings.MLFLOW_TRACKING_USERNAME)
    if not user:
        return {}
    pair = f"{user}:{environ.get(settings.MLFLOW_TRACKING_PASSWORD, '')}"
    return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"}
