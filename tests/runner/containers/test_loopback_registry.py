"""What the registry of one push says to engines of different kinds."""

from __future__ import annotations

import socket
from pathlib import Path

from runner.containers.loopback_registry import LoopbackRegistry, is_left_behind
from sidecar.contract.stores import LayersLayout


def test_an_engine_that_tries_tls_is_told_in_plain_http(tmp_path: Path) -> None:
    """As one with containerd's store does, which then does without."""
    with LoopbackRegistry(LayersLayout(tmp_path)) as registry:
        port = int(registry.repository.partition("/")[0].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"\x16\x03\x01\x00\x05hello")
            assert connection.makefile("rb").read().startswith(b"HTTP/1.0 400 ")


def test_a_name_is_left_behind_once_nobody_listens(tmp_path: Path) -> None:
    """A push that is under way keeps its name; a stranger's name is never taken for one."""
    with LoopbackRegistry(LayersLayout(tmp_path)) as registry:
        name = f"{registry.repository}:latest"
        assert not is_left_behind(name)
    assert is_left_behind(name)
    assert not is_left_behind("127.0.0.1:1/theirs:latest")
