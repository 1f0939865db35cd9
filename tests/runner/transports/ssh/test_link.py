"""The link to a landed part: bytes exactly, back-pressure, and an end that is noticed."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.transports.ssh.link import SshLink
from runner.transports.ssh.ssh import SshTransport
from sidecar.contract.layout import WorkspaceLayout
from tests.doubles.ssh_server import SshServer, ssh_server
from tests.doubles.tiny_bundles import ECHO, TinyBundles
from tests.runner.transports.ssh.conftest import MakeAccess

pytestmark = pytest.mark.sshd

FLOOD = """
import hashlib, os, random
digest, generator = hashlib.sha256(), random.Random(7)
block = generator.randbytes(1 << 20)
for number in range(20):
    piece = block[number:] + block[:number]
    digest.update(piece)
    view = memoryview(piece)
    while view:
        view = view[os.write(1, view):]
os.write(1, digest.digest())
"""
# Standard error first, more than a window holds, then one word: a reader of standard output alone would wait for ever.
MOAN = (
    "import os; [os.write(2, b'moan' * 16384) for _ in range(100)]; os.write(2, b'\\nlast words'); os.write(1, b'done')"
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    """A node."""
    with ssh_server(tmp_path / "sshd", environ={"PATH": "/usr/bin:/bin"}) as server:
        yield server


def link_to(server: SshServer, make_access: MakeAccess, workspace: WorkspaceLayout, program: str) -> SshLink:
    """A link to `program`, landed on the server."""
    access = make_access(server.target(), server.known_line())
    access = dataclasses.replace(access, bundles=TinyBundles(workspace, program))
    link = SshTransport(access=access, node=server.node(), argv=()).connect()
    link.silence_limit_s = 30
    return link


def test_twenty_megabytes_arrive_exactly(
    server: SshServer, make_access: MakeAccess, workspace: WorkspaceLayout
) -> None:
    """Odd sizes of reads lose and double nothing; the end is an empty read."""
    link = link_to(server, make_access, workspace, FLOOD)
    digest, left, size = hashlib.sha256(), 20 << 20, 1
    while left:
        piece = link.incoming.read(min(size, left))
        digest.update(piece)
        left -= len(piece)
        size = size * 7 % 1_000_003 + 1
    assert link.incoming.read(64) == digest.digest() and link.incoming.read(1) == b""
    link.close()


def test_flood_on_standard_error_stops_nothing(
    server: SshServer, make_access: MakeAccess, workspace: WorkspaceLayout
) -> None:
    """Six megabytes of complaints do not block the answer, and their end is kept for the message."""
    link = link_to(server, make_access, workspace, MOAN)
    assert link.incoming.read(5) == b"done"
    assert link.last_words.endswith("last words") and len(link.last_words) <= 8192
    link.close()


def test_silence_is_found(server: SshServer, make_access: MakeAccess, workspace: WorkspaceLayout) -> None:
    """A read that brings nothing for the limit raises TimeoutError; the link can still be used."""
    link = link_to(server, make_access, workspace, ECHO)
    link.pipe.read_line(1 << 20, float("inf"))
    link.silence_limit_s = 0.3
    with pytest.raises(TimeoutError):
        link.incoming.read(1)
    link.silence_limit_s = 30
    link.outgoing.write(b"still here")
    link.outgoing.flush()
    assert link.incoming.read(10) == b"still here"
    link.close()


def test_closing_ends_a_read_in_another_thread(
    server: SshServer, make_access: MakeAccess, workspace: WorkspaceLayout
) -> None:
    """A thread that waits for bytes comes back when the link is closed, and writing fails from then on."""
    link = link_to(server, make_access, workspace, ECHO)
    link.pipe.read_line(1 << 20, float("inf"))
    link.silence_limit_s = None
    ends: list[bytes] = []
    reader = threading.Thread(target=lambda: ends.append(link.incoming.read(1)))
    reader.start()
    started = time.monotonic()
    link.close()
    reader.join(timeout=10)
    assert ends == [b""] and time.monotonic() - started < 5
    with pytest.raises(OSError, match=r".+"):
        link.outgoing.write(b"x")


def test_no_thread_and_no_descriptor_stays(
    server: SshServer, make_access: MakeAccess, workspace: WorkspaceLayout
) -> None:
    """Ten links opened and closed leave as many threads and descriptors as one did (F51)."""
    import os

    def count() -> tuple[int, int]:
        return threading.active_count(), len(os.listdir("/proc/self/fd"))

    thread_count = threading.active_count()
    link_to(server, make_access, workspace, ECHO).close()
    _settle(lambda: threading.active_count() <= thread_count)
    before = count()
    for _ in range(10):
        link_to(server, make_access, workspace, ECHO).close()
    _settle(lambda: count() <= before)
    assert count() <= before


def _settle(is_reached: object) -> None:
    deadline = time.monotonic() + 10
    while not is_reached() and time.monotonic() < deadline:  # type: ignore[operator]  # a condition
        time.sleep(0.01)
