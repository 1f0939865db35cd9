"""Programs that runs may need: an MPI, tools that build environments, Docker."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Callable, Iterator, List, Mapping, Optional, Tuple

from sidecar import mpi_found
from sidecar.engine import EngineProblem, find_socket, unreachable
from sidecar.report import gpus
from sidecar.report.finding import OK, WARN, Finding

_ANSWER_LIMIT_BYTES = 1024 * 1024
# A tool that does not answer within this must not hold up the report.
TOOL_TIMEOUT_S = 10.0


def inspect_programs(environ: Mapping[str, str]) -> Iterator[Finding]:
    """The findings about programs; all are asked at once."""
    questions: List[Callable[[], Finding]] = [
        lambda: _mpi(environ),
        lambda: gpus.inspect_gpus(environ),
        lambda: _tool("uv", ("uv",), environ, without="environments are built with venv and pip, which takes longer"),
        lambda: _tool(
            "conda",
            ("conda", "mamba", "micromamba"),
            environ,
            without="an environment with a conda file cannot be built here",
        ),
        lambda: _docker(environ),
    ]
    with ThreadPoolExecutor(len(questions)) as pool:
        yield from pool.map(lambda question: question(), questions)


def _mpi(environ: Mapping[str, str]) -> Finding:
    # Beside our own interpreter first: a wheel puts mpiexec there, and an unactivated .venv is not on PATH.
    try:
        found = mpi_found.find(os.path.dirname(sys.executable), environ)
    except mpi_found.NoMpi as error:
        text = f"{error}; MPI jobs need one, in the job's environment or on the machine"
        return Finding("MPI", WARN, "none", text, "pip_requirements: [mpich, mpi4py]", {"mpi": None})
    name = f"{found['flavour']} {found['version']}"
    return Finding("MPI", OK, name, f"{name} at {found['mpiexec']}", facts={"mpi": name})


def _tool(name: str, commands: Tuple[str, ...], environ: Mapping[str, str], *, without: str) -> Finding:
    path = find(commands, environ)
    if path is None:
        # Absent is fine for most runs, so it is no warning; what it means is said.
        return Finding(name, OK, "none", f"none: {without}")
    version = output_of([path, "--version"])
    if version is None:
        return Finding(name, WARN, "broken", f"{path} does not work")
    words = version.strip().splitlines()
    return Finding(name, OK, "yes", f"{words[0]} at {path}" if words else path)


def find(commands: Tuple[str, ...], environ: Mapping[str, str]) -> Optional[str]:
    """The first of these programs that is there, beside our own interpreter or on the PATH."""
    places = os.path.dirname(sys.executable) + os.pathsep + environ.get("PATH", os.defpath)
    return next((path for path in (shutil.which(command, path=places) for command in commands) if path), None)


def output_of(argv: List[str]) -> Optional[str]:
    """What the program prints; None where it does not work, or takes too long."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=TOOL_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else None


def _docker(environ: Mapping[str, str]) -> Finding:
    only = "only runs with docker_runtime_config need it"
    try:
        path = find_socket(environ)
    except EngineProblem as problem:
        return Finding("docker", OK, "remote", f"{problem}; it is asked only when a run needs it")
    try:
        answer = _ask_docker(path)
    except FileNotFoundError:
        return Finding("docker", OK, "none", f"none: no {path}; {only}")
    except OSError as error:
        why = unreachable(path, error)
        brief = "forbidden" if isinstance(error, PermissionError) else "none"
        return Finding("docker", WARN, brief, f"{why}; {only}", why.hint)
    found = re.search(rb'"Version":"([^"]+)"', answer)
    version = found[1].decode("ascii", "replace") if found else "of an unknown version"
    return Finding("docker", OK, version, f"{version} at {path}")


def _ask_docker(path: str) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TOOL_TIMEOUT_S)
        connection.connect(path)
        connection.sendall(b"GET /version HTTP/1.0\r\nHost: docker\r\n\r\n")
        answer = b""
        while len(answer) < _ANSWER_LIMIT_BYTES:
            part = connection.recv(64 * 1024)
            if not part:
                break
            answer += part
        return answer
