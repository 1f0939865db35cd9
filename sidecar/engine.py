"""Talks to the Docker engine of this machine: HTTP over its socket, with nothing but the standard library."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
from typing import Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional
from urllib.parse import urlencode

DEFAULT_SOCKET = "/var/run/docker.sock"
_HOST_VARIABLE = "DOCKER_HOST"
_UNIX = "unix://"
# Creating a container on a cold disk takes seconds; an engine that is silent for longer hangs.
_TIMEOUT_S = 120.0
# An engine says nothing while it unpacks a layer of some gigabytes.
LOAD_TIMEOUT_S = 3600.0


class EngineProblem(Exception):
    """The engine does not answer, or says no. `status` is that of its answer, 0 without one.

    `is_silence`: nobody answered, or not to the end, as it is while an engine restarts.
    """

    def __init__(self, message: str, hint: Optional[str] = None, *, status: int = 0, is_silence: bool = False) -> None:
        super().__init__(message)
        self.hint = hint
        self.status = status
        self.is_silence = is_silence


class Facts(NamedTuple):
    """What decides how containers are made. `maker` is Docker or Podman, `platform` is `linux/amd64`.

    `keeps_archives`: the engine loads only whole archives (Podman; or its images lie in containerd's store).
    """

    maker: str
    version: str
    platform: str
    is_rootless: bool
    remaps_users: bool
    has_gpus: bool
    keeps_archives: bool


def find_socket(environ: Mapping[str, str]) -> str:
    """The path of the engine's socket: the one named, else the first that this user may use, else the usual one.

    Raises EngineProblem where DOCKER_HOST names none.
    """
    named = environ.get(_HOST_VARIABLE)
    if named:
        if not named.startswith(_UNIX):
            raise EngineProblem(
                f"{_HOST_VARIABLE} is {named}, and a node's containers are made by an engine of its own"
            )
        return named[len(_UNIX) :]
    own = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    places = [DEFAULT_SOCKET, f"{own}/docker.sock", f"{own}/podman/podman.sock"]
    there = [place for place in places if os.path.exists(place)]
    usable = [place for place in there if os.access(place, os.R_OK | os.W_OK)]
    return (usable or there or [DEFAULT_SOCKET])[0]


def unreachable(path: str, error: OSError) -> EngineProblem:
    """Why nobody answers at the socket `path`, and what to try."""
    if isinstance(error, PermissionError):
        hint = "sudo usermod -aG docker $USER on the node; or a rootless engine there"
        return EngineProblem(f"no permission on the Docker engine's socket {path}", hint)
    missing = isinstance(error, (FileNotFoundError, ConnectionRefusedError))
    what = "nobody listens there" if isinstance(error, ConnectionRefusedError) else "there is none"
    hint = "start it on the node (sudo systemctl start docker), or install one"
    why = what if missing else error.strerror or error
    return EngineProblem(f"no Docker engine at {path}: {why}", hint, is_silence=True)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("docker", timeout=timeout_s)
        self._path = path
        self._timeout_s = timeout_s

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self._timeout_s)
        try:
            self.sock.connect(self._path)
        except OSError as error:
            raise unreachable(self._path, error) from error


class Engine:
    """The engine behind the socket `path`; a connection a question, so that one that restarts costs nothing."""

    def __init__(self, path: str) -> None:
        self.path = path

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Optional[Mapping[str, str]] = None,
        body: Optional[Mapping[str, Any]] = None,
        content: Optional[bytes] = None,
    ) -> bytes:
        """The engine's answer. Raises EngineProblem for none, and for a refusal."""
        headers = {"Content-Type": "application/x-tar" if content is not None else "application/json"}
        sent = content if body is None else json.dumps(body).encode()
        with self._answer(method, _url(path, query), sent, headers, _TIMEOUT_S) as answer:
            return answer.read()

    def json(self, method: str, path: str, **parts: Any) -> Any:
        """The same, where it answers with JSON."""
        content = self.ask(method, path, **parts)
        try:
            return json.loads(content)
        except ValueError as error:
            raise EngineProblem(f"the Docker engine at {self.path} broke off its answer", is_silence=True) from error

    def find(self, path: str) -> Optional[Dict[str, Any]]:
        """What is at `path`; None where the engine has no such thing."""
        try:
            return dict(self.json("GET", path))
        except EngineProblem as problem:
            if problem.status == 404:
                return None
            raise

    def lines(self, method: str, path: str, *, query: Mapping[str, str]) -> Iterator[Dict[str, Any]]:
        """An answer that comes in lines of JSON while the engine works."""
        with self._answer(method, _url(path, query), None, {}, LOAD_TIMEOUT_S) as answer:
            for line in answer:
                if line.strip():
                    yield dict(json.loads(line))

    @contextlib.contextmanager
    def _answer(
        self, method: str, url: str, content: Optional[bytes], headers: Mapping[str, str], timeout_s: float
    ) -> Iterator[http.client.HTTPResponse]:
        connection = _Connection(self.path, timeout_s)
        try:
            connection.request(method, url, body=content, headers=dict(headers))
            answer = connection.getresponse()
            _check(answer)
            yield answer
        except (OSError, http.client.HTTPException) as error:
            message = f"the Docker engine at {self.path} does not answer: {error}"
            raise EngineProblem(message, is_silence=True) from error
        finally:
            connection.close()

    def load(self, write: Callable[[Callable[[bytes], None]], None]) -> None:
        """Loads the archive that `write` passes on piece by piece. Raises EngineProblem."""
        connection = _Connection(self.path, LOAD_TIMEOUT_S)
        try:
            connection.putrequest("POST", "/images/load?quiet=1")
            connection.putheader("Transfer-Encoding", "chunked")
            connection.putheader("Content-Type", "application/x-tar")
            connection.endheaders()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # It has answered already.
                write(lambda piece: connection.send(b"%x\r\n%s\r\n" % (len(piece), piece)) if piece else None)
                connection.send(b"0\r\n\r\n")
            answer = connection.getresponse()
            _check(answer)
            said = [json.loads(line) for line in answer.read().splitlines() if line.strip()]
        except (OSError, http.client.HTTPException) as error:
            message = f"the Docker engine at {self.path} broke off loading: {error}"
            raise EngineProblem(message, is_silence=True) from error
        finally:
            connection.close()
        for record in said:
            if "error" in record:
                raise EngineProblem(f"the engine cannot load the image: {record['error']}", status=500)

    def facts(self) -> Facts:
        """What the engine says of itself."""
        info = self.json("GET", "/info")
        options = [option.partition("name=")[2].split(",")[0] for option in info.get("SecurityOptions") or ()]
        machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(info["Architecture"], info["Architecture"])
        parts = self.json("GET", "/version").get("Components") or ()
        status = json.dumps(info.get("DriverStatus") or ())
        is_podman = any("Podman" in str(part.get("Name")) for part in parts)
        return Facts(
            maker="Podman" if is_podman else "Docker",
            version=str(info["ServerVersion"]),
            platform=f"{info['OSType']}/{machine}",
            is_rootless="rootless" in options,
            remaps_users="userns" in options,
            has_gpus="nvidia" in (info.get("Runtimes") or {}) and os.path.exists("/dev/nvidiactl"),
            keeps_archives=is_podman or "io.containerd.snapshotter" in status,
        )

    def layers(self) -> Iterator[List[str]]:
        """The layers, by the hash of their content, of every image."""
        for found in self.json("GET", "/images/json"):
            there = self.find(f"/images/{found['Id']}/json")
            if there is not None:
                yield list((there.get("RootFS") or {}).get("Layers") or ())

    def containers(self, wanted: Mapping[str, str]) -> List[Dict[str, Any]]:
        """Every container with these labels, dead ones too."""
        filters = json.dumps({"label": [f"{name}={value}" for name, value in wanted.items()]})
        return list(self.json("GET", "/containers/json", query={"all": "1", "filters": filters}))

    def remove_container(self, container: str) -> None:
        """Removes one, whatever it does. Raises EngineProblem where it stays."""
        try:
            self.ask("DELETE", f"/containers/{container}", query={"force": "1", "v": "1"})
        except EngineProblem as problem:
            if problem.status not in (404, 409):  # Gone; or somebody else removes it at this moment.
                raise


def _url(path: str, query: Optional[Mapping[str, str]]) -> str:
    return f"{path}?{urlencode(query)}" if query else path


def _check(answer: http.client.HTTPResponse) -> None:
    if answer.status < 400:
        return
    content = answer.read(64 * 1024)
    try:
        text = str(json.loads(content)["message"])
    except (ValueError, KeyError, TypeError):
        text = content.decode("utf-8", "replace").strip() or answer.reason
    raise EngineProblem(text, status=answer.status)
