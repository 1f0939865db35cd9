"""Whether a Docker engine answers at all, asked in a millisecond: before a run is created, and for `runner doctor`."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from runner.containers.engine import address, unreachable
from runner.errors import MachineError

_UNIX = "unix://"
_LIMIT_S = 10.0
_QUESTION = b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n"


def check_engine(environ: Mapping[str, str]) -> None:
    """Raises MachineError where there is no engine, or where this user may not talk to it.

    An engine behind a network address is asked only by the run itself.
    """
    where = address(environ)
    if not where.startswith(_UNIX):
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_LIMIT_S)
            connection.connect(where[len(_UNIX) :])
            connection.sendall(_QUESTION)
            answer = connection.recv(1024)
    except OSError as error:
        raise unreachable(where, error) from error
    if b" 200 " not in answer.split(b"\r\n")[0]:
        raise MachineError(f"what listens at {where} is no Docker engine", hint="runner doctor")
