"""Brings the sidecar onto a node through one channel: the other end of `sidecar/landing.py`, which see."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.errors import MachineError
from runner.transports.bundle import Bundle, BundleStore
from runner.transports.ssh.bootstrap import LANDING_MARKER, NO_PYTHON_MARKER, OLDEST_PYTHON, Bootstrap, make_bootstrap
from runner.transports.wheel_tags import NodePython
from sidecar.contract import settings
from sidecar.contract.layout import WorkspaceLayout
from sidecar.contract.stores import BundleContents, BundlesLayout

if TYPE_CHECKING:
    from runner.transports.ssh.link import Pipe

# What a start-up file of the shell may print before the landing speaks; more is no start-up file.
_NOISE_LIMIT_BYTES = 64 * 1024
_LINE_LIMIT_BYTES = 64 * 1024
_SHOWN_LETTERS = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class LandingLimits:
    """Seconds: until the node has said what it is, and for sending a bundle that it does not have yet.

    A bundle that does not get through in its time goes on, with the next connection, where it stopped.
    """

    landing_s: float = 15.0
    shipping_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Landing:
    """What a node said of itself, and where things lie there.

    `peer_address` is the numeric address that the node was reached at, or, behind a jump host, its own idea of it.
    `notes` are sentences for `55_`: what was left out of the bundle, and why.
    """

    python_version: tuple[int, int, int]
    executable: str
    machine: str
    libc: str
    home: str
    user: str
    uid: int
    hostname: str
    boot_id: str
    peer_address: str
    work: str
    bundle: str
    is_shipped: bool
    extras: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LandingRequest:
    """What is wanted on the node: where it keeps its things, and which part of the sidecar to become."""

    subject: str
    work_directory: str
    argv: tuple[str, ...]
    peer_address: str


def land(pipe: Pipe, request: LandingRequest, bundles: BundleStore, limits: LandingLimits) -> Landing:
    """Returns once the node is becoming the part asked for; what it says from now on is that part's.

    Raises MachineError: final where the node has no Python, runs something else instead, or may not write.
    """
    try:
        return _land(pipe, request, bundles, limits)
    except (LookupError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        # What a node says is anybody's: also its first words may be nonsense.
        raise MachineError(
            f"{request.subject}: what the node says of itself makes no sense ({type(error).__name__}: {error})",
            hint="is its python3 a Python, or a wrapper of somebody's?",
        ) from error


def _land(pipe: Pipe, request: LandingRequest, bundles: BundleStore, limits: LandingLimits) -> Landing:
    bootstrap = make_bootstrap()
    deadline = time.monotonic() + limits.landing_s
    said = _begin(pipe, request.subject, bootstrap, deadline)
    node = _node_python(said, request.subject)
    bundle = bundles.bundle_for(node)
    _send(pipe, request.subject, _request_line(request, bundle), deadline)
    deadline = time.monotonic() + limits.landing_s
    answer = _answer(pipe, request.subject, deadline)
    is_shipped = not answer["is_complete"]
    while not answer["is_complete"]:
        deadline = time.monotonic() + limits.shipping_s
        content = bundle.path.read_bytes()[int(answer["have"]) :]
        _send(pipe, request.subject, content, deadline)
        answer = _answer(pipe, request.subject, deadline)
    return Landing(
        python_version=tuple(said["python"]),
        executable=str(said["executable"]),
        machine=str(said["machine"]),
        libc=str(said["libc"]),
        home=str(said["home"]),
        user=str(said["user"]),
        uid=int(said["uid"]),
        hostname=str(said["hostname"]),
        boot_id=str(said["boot_id"]),
        peer_address=request.peer_address or str(said["address"]),
        work=str(answer["work"]),
        bundle=str(answer["bundle"]),
        is_shipped=is_shipped,
        extras=bundle.extras,
        notes=bundle.notes,
    )


def _request_line(request: LandingRequest, bundle: Bundle) -> bytes:
    layout = BundlesLayout(WorkspaceLayout(Path()).bundles)
    record = {
        "work_directory": request.work_directory,
        "work_variable": settings.WORK_DIRECTORY,
        "folder": str(layout.folder(bundle.sha256)),
        "partial": str(layout.partial(bundle.sha256)),
        "manifest": str(BundleContents(Path()).manifest),
        "sha256": bundle.sha256,
        "size": bundle.size_bytes,
        "argv": list(request.argv),
    }
    return json.dumps(record).encode("ascii") + b"\n"


def _begin(pipe: Pipe, subject: str, bootstrap: Bootstrap, deadline: float) -> Mapping[str, Any]:
    """Starts the landing, and returns what it says first, behind whatever the shell printed."""
    pipe.execute(bootstrap.command, deadline)
    _send(pipe, subject, bootstrap.program, deadline)
    noise = bytearray()
    while len(noise) < _NOISE_LIMIT_BYTES:
        try:
            line = pipe.read_line(_LINE_LIMIT_BYTES, deadline)
        except TimeoutError as error:
            text = _with_noise(f"{subject}: the node's shell did not start Python in time", noise)
            raise MachineError(text, hint="does a start-up file of its login shell wait for something?") from error
        if line.startswith(LANDING_MARKER):
            try:
                return dict(json.loads(line[len(LANDING_MARKER) :]))
            except ValueError as error:
                raise MachineError(f"{subject}: the node's first words were cut off") from error
        if line.startswith(NO_PYTHON_MARKER):
            raise _no_python(subject, line)
        noise += line
        if not line.endswith(b"\n"):
            raise _ended_early(pipe, subject, noise)
    raise MachineError(
        _with_noise(f"{subject}: the login shell printed {len(noise)} bytes and started no Python", noise),
        hint="is there a forced command for this key?",
        is_final=True,
    )


def _no_python(subject: str, line: bytes) -> MachineError:
    oldest = ".".join(map(str, OLDEST_PYTHON))
    old = line[len(NO_PYTHON_MARKER) :].decode("utf-8", "replace").strip()
    found = f"; too old or broken: {old}" if old else ""
    error = MachineError(
        f"{subject}: the node has no Python {oldest} or newer{found}",
        hint="install one (apt install python3, or miniforge in the home folder); no root is needed for the latter",
        is_final=True,
    )
    error.step = "python"
    return error


def _ended_early(pipe: Pipe, subject: str, noise: bytes | bytearray) -> MachineError:
    """The channel ended before Python spoke: by itself, or because the connection did."""
    status = pipe.exit_status()
    text = bytes(noise) + b"\n" + pipe.stderr_tail
    if status is None:
        return MachineError(_with_noise(f"{subject}: the connection ended before the node's Python started", text))
    return MachineError(
        _with_noise(f"{subject}: the login shell ended with exit code {status} and started no Python", text),
        hint="is there a forced command for this key, a closed account, or an exit in a start-up file of the shell?",
        is_final=True,
    )


def _with_noise(text: str, noise: bytes | bytearray) -> str:
    words = " ".join(bytes(noise).decode("utf-8", "replace").split())
    shown = _plain(words)[-_SHOWN_LETTERS:]
    return f"{text}; it printed: {shown}" if shown else text


def _plain(text: str) -> str:
    """What may be shown on a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _node_python(said: Mapping[str, Any], subject: str) -> NodePython:
    if said["system"] != "Linux":
        raise MachineError(f"{subject}: the node runs {said['system']}; only Linux nodes can be used", is_final=True)
    kind, _, version = str(said["libc"]).partition(" ")
    numbers = version.split(".")
    is_glibc = kind == "glibc" and len(numbers) >= 2 and all(number.isdigit() for number in numbers[:2])
    return NodePython(
        version=(int(said["python"][0]), int(said["python"][1])),
        machine=str(said["machine"]),
        glibc=(int(numbers[0]), int(numbers[1])) if is_glibc else None,
        is_plain_cpython=said["implementation"] == "cpython" and "t" not in said["abiflags"],
    )


def _send(pipe: Pipe, subject: str, content: bytes, deadline: float) -> None:
    """Sends it all, or as much as the node takes: one that is gone or refuses is heard when its answer is read."""
    try:
        pipe.write(content, deadline)
    except TimeoutError as error:
        raise MachineError(f"{subject}: the node takes no more bytes; what has arrived there is kept") from error
    except OSError:
        pass  # The answer, or its absence, says why.


def _answer(pipe: Pipe, subject: str, deadline: float) -> Mapping[str, Any]:
    try:
        line = pipe.read_line(_LINE_LIMIT_BYTES, deadline)
    except TimeoutError as error:
        raise MachineError(f"{subject}: the node did not take the bundle in time; what has arrived is kept") from error
    if not line.endswith(b"\n"):
        text = _with_noise(f"{subject}: the connection ended while the node took the bundle in", pipe.stderr_tail)
        raise MachineError(text)
    try:
        answer: Mapping[str, Any] = json.loads(line)
    except ValueError as error:
        raise MachineError(_with_noise(f"{subject}: the node's landing did not answer as agreed", line)) from error
    if "error" in answer:
        refused = MachineError(
            f"{subject}: {_plain(str(answer['error']))}",
            hint=_plain(str(answer["hint"])) if answer.get("hint") else None,
            is_final=bool(answer.get("is_final")),
        )
        refused.step = "disk"
        raise refused
    return answer
