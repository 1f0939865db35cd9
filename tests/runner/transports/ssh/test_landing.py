"""Landing on a bare node: shipped once, whole or not at all, wherever the connection is cut."""

from __future__ import annotations

import base64
import contextlib
import json
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import sidecar.landing
from runner.errors import MachineError
from runner.spec.compute import SshNode
from runner.transports.ssh import bootstrap
from runner.transports.ssh.known_hosts import HostKey
from runner.transports.ssh.ssh import SshAccess, SshTransport
from sidecar.contract.frames import FrameKind, read_frame
from sidecar.contract.layout import WorkspaceLayout
from sidecar.contract.settings import WORK_DIRECTORY
from tests.doubles.ports import Port, cutting_proxy
from tests.doubles.ssh_server import SshServer, ssh_server
from tests.doubles.tiny_bundles import TinyBundles
from tests.runner.transports.ssh.conftest import MakeAccess

pytestmark = pytest.mark.sshd

ARGV = ("agent", "digits_1_01234567", "--node", "gpu01")
PLAIN = {"PATH": "/usr/bin:/bin"}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SshServer]:
    """A node whose login shell is sh."""
    with ssh_server(tmp_path / "sshd", environ=PLAIN) as server:
        yield server


def land(access: SshAccess, *argv: str, node: SshNode | None = None) -> dict[str, Any]:
    """What the echoing program of a tiny bundle says of itself, after it has echoed a megabyte."""
    link = SshTransport(access=access, node=node or access.target.nodes[0], argv=argv).connect()
    link.silence_limit_s = 20
    try:
        said: dict[str, Any] = json.loads(link.pipe.read_line(1 << 22, float("inf")))
        content = random.Random(1).randbytes(1 << 20)
        for start in range(0, len(content), 1 << 16):
            link.outgoing.write(content[start : start + (1 << 16)])
        assert link.incoming.read(len(content)) == content
        return said
    finally:
        link.close()


def tiny(access: SshAccess, workspace: WorkspaceLayout, padding: int = 0) -> SshAccess:
    """The same access with a bundle that echoes."""
    return replace(access, bundles=TinyBundles(workspace, padding=random.Random(2).randbytes(padding)))


def bundles_on(server: SshServer) -> list[str]:
    """What lies in the node's folder of bundles."""
    return sorted(path.name for path in (server.home / "work" / "bundles").iterdir())


def test_both_sides_agree_on_the_markers() -> None:
    """The program that is sent and the side that waits for it spell the marker alike."""
    assert sidecar.landing.MARKER.encode() == bootstrap.LANDING_MARKER


def test_agent_is_shipped_once_and_speaks(server: SshServer, make_access: MakeAccess) -> None:
    """The first connection ships the sidecar, the second finds it there; both reach a real agent."""
    access = make_access(server.target(), server.known_line())
    transport = SshTransport(access=access, node=server.node(), argv=ARGV)
    for is_first in (True, False):
        link = transport.connect()
        link.silence_limit_s = 20
        hello = read_frame(link.incoming)
        assert hello is not None and hello.kind is FrameKind.HELLO
        landing = link.landing
        assert landing.is_shipped is is_first and landing.peer_address == "127.0.0.1"
        assert landing.work == str(server.home / "work") and landing.extras == ("psutil", "watchdog")
        command = Path(f"/proc/{hello.body['pid']}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")[1:]
        assert command == [b"-s", b"-S", b"-E", b"-m", b"sidecar", *map(str.encode, ARGV)]
        link.close()


def test_shipped_libraries_can_be_imported(server: SshServer, make_access: MakeAccess) -> None:
    """psutil and watchdog come out of the bundle, not out of the node's own packages."""
    access = make_access(server.target(), server.known_line())
    link = SshTransport(access=access, node=server.node(), argv=ARGV).connect()
    link.close()
    script = "from sidecar import extras; extras.make_importable(); import psutil, watchdog.observers as w; print(w)"
    command = [link.landing.executable, "-s", "-S", "-E", "-c", script]
    done = subprocess.run(command, cwd=link.landing.bundle, capture_output=True, text=True, check=True)
    assert link.landing.bundle in done.stdout


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(
        st.text(st.characters(blacklist_characters="\0", blacklist_categories=("Cs",)), max_size=40), max_size=4
    )
)
def test_arguments_arrive_exactly(
    server: SshServer, make_access: MakeAccess, workspace: WorkspaceLayout, words: list[str]
) -> None:
    """Whatever stands in an argument reaches the program as it is: no shell ever sees it."""
    access = tiny(make_access(server.target(), server.known_line()), workspace)
    assert land(access, *words)["argv"] == words


@pytest.mark.parametrize(
    "word", ["$(touch X)", "`id`", "-oProxyCommand=x", "a'b\"c\\", "*", "\n;\n", "é\u2028", "x" * 100_000]
)
def test_hostile_arguments_stay_arguments(
    server: SshServer, make_access: MakeAccess, workspace: WorkspaceLayout, word: str
) -> None:
    """The corpus of F41, and one of 100 kB."""
    access = tiny(make_access(server.target(), server.known_line()), workspace)
    assert land(access, word, "")["argv"] == [word, ""]
    assert not list(server.home.rglob("X"))


def test_environment_of_the_login_is_kept(
    server: SshServer, make_access: MakeAccess, workspace: WorkspaceLayout
) -> None:
    """The job finds what the login had; added is only where the runner keeps its things."""
    said = land(tiny(make_access(server.target(), server.known_line()), workspace))
    assert said["environ"]["PATH"] == PLAIN["PATH"] and said["environ"][WORK_DIRECTORY] == str(server.home / "work")
    assert said["cwd"].startswith(str(server.home / "work" / "bundles"))


def test_work_directory_in_the_home(server: SshServer, make_access: MakeAccess, workspace: WorkspaceLayout) -> None:
    """`~` is the node's home, and the folder is nobody else's to read."""
    target = server.target(work_directory="~/deep/.runner-node")
    land(tiny(make_access(target, server.known_line()), workspace))
    assert (server.home / "deep" / ".runner-node").stat().st_mode & 0o777 == 0o700


@contextlib.contextmanager
def cut_way(server: SshServer, access: SshAccess, budget: Callable[[], int | None]) -> Iterator[tuple[SshNode, Port]]:
    """The server as a node behind a proxy that cuts, its key known there too."""
    with cutting_proxy(server.port, budget) as proxy:
        kind, content = server.known_line().split()[1:]
        access.known.remember(f"[127.0.0.1]:{proxy.number}", HostKey(kind, base64.b64decode(content)))
        yield SshNode(address="127.0.0.1", name="gpu01", ssh_port=proxy.number), proxy


def test_connection_cut_anywhere_is_gone_on_from(
    server: SshServer, make_access: MakeAccess, workspace: WorkspaceLayout
) -> None:
    """A connection that lives for n bytes leaves nothing, or a prefix that the next one goes on from."""
    access = tiny(make_access(server.target(), server.known_line()), workspace, padding=60_000)
    for cut in range(500, 66_000, 6_500):
        with cut_way(server, access, lambda cut=cut: cut) as (node, _):  # type: ignore[misc]  # bound to this round
            with pytest.raises(MachineError) as caught:
                SshTransport(access=access, node=node, argv=()).connect()
            assert not caught.value.is_final, caught.value
        assert land(access)["argv"] == []
        assert bundles_on(server) == [access.bundles.bundle.sha256]  # type: ignore[attr-defined]  # a TinyBundles
        shutil.rmtree(server.home / "work")


def test_progress_although_each_connection_lives_64_kib(
    server: SshServer, make_access: MakeAccess, workspace: WorkspaceLayout
) -> None:
    """300 kB get through in a handful of connections (F9)."""
    access = tiny(make_access(server.target(), server.known_line()), workspace, padding=300_000)
    with cut_way(server, access, lambda: 65_536) as (node, proxy):
        while True:
            with contextlib.suppress(MachineError):
                SshTransport(access=access, node=node, argv=()).connect().close()
                break
            assert proxy.connection_count <= 9


def test_many_land_at_once(server: SshServer, make_access: MakeAccess, workspace: WorkspaceLayout) -> None:
    """Six nodes that share one home all get a whole bundle, and leave one behind."""
    access = tiny(make_access(server.target(), server.known_line()), workspace, padding=200_000)
    with ThreadPoolExecutor(6) as pool:
        said = list(pool.map(lambda number: land(access, str(number)), range(6)))
    assert [each["argv"] for each in said] == [[str(number)] for number in range(6)]
    assert bundles_on(server) == [access.bundles.bundle.sha256]  # type: ignore[attr-defined]  # a TinyBundles


def test_damaged_bundle_is_shipped_anew(server: SshServer, make_access: MakeAccess, workspace: WorkspaceLayout) -> None:
    """A bundle that lost a file, and one whose file was cut, are replaced; what lies beside is no damage."""
    access = tiny(make_access(server.target(), server.known_line()), workspace)
    folder = Path(land(access)["cwd"])
    (folder / "sidecar" / "__init__.py").unlink()
    land(access)
    (folder / "sidecar" / "__main__.py").write_text("cut")
    land(access)
    link = SshTransport(access=access, node=server.node(), argv=()).connect()
    link.close()
    assert not link.landing.is_shipped and bundles_on(server) == [folder.name]


def test_damaged_part_is_thrown_away(server: SshServer, make_access: MakeAccess, workspace: WorkspaceLayout) -> None:
    """What an earlier connection left is used only if the whole has the right hash."""
    access = tiny(make_access(server.target(), server.known_line()), workspace, padding=50_000)
    folder = server.home / "work" / "bundles"
    folder.mkdir(parents=True)
    sha256 = access.bundles.bundle.sha256  # type: ignore[attr-defined]  # a TinyBundles
    for rubbish in (b"rubbish" * 1000, b"too long" * 100_000):
        (folder / f"{sha256}.partial").write_bytes(rubbish)
        land(access)
        assert bundles_on(server) == [sha256]
        shutil.rmtree(folder / sha256)


@pytest.mark.root
def test_full_disk_is_one_clear_error(server: SshServer, make_access: MakeAccess, workspace: WorkspaceLayout) -> None:
    """The message names the place and the cause; once there is room, the same connection attempt works."""
    work = server.home / "work"
    work.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(work)], check=True)
    try:
        access = tiny(make_access(server.target(), server.known_line()), workspace, padding=600_000)
        with pytest.raises(MachineError, match=r"gpu01: .*No space left on device") as caught:
            SshTransport(access=access, node=server.node(), argv=()).connect()
        assert not caught.value.is_final and caught.value.hint is not None
        subprocess.run(["mount", "-o", "remount,size=8m", str(work)], check=True)
        land(access)
    finally:
        subprocess.run(["umount", "-l", str(work)], check=True)


def test_work_directory_that_cannot_be_made(server: SshServer, make_access: MakeAccess) -> None:
    """A path below a file is final: no retry makes a folder of it."""
    (server.home / "file").write_text("")
    target = server.target(work_directory=str(server.home / "file" / "work"))
    with pytest.raises(MachineError, match=r"gpu01: .*Not a directory") as caught:
        SshTransport(access=make_access(target, server.known_line()), node=server.node(), argv=ARGV).connect()
    assert caught.value.is_final and "work_directory" in (caught.value.hint or "")


_LIAR = """#!/bin/sh
echo
echo '@scriptrun-landing {said}'
echo '{answer}'
exec cat >/dev/null
"""


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("[1, 2]", "{}"),
        ("{}", "{}"),
        ("[" * 30_000, "{}"),
        ('{"python": ["x", 1], "system": "Linux"}', "{}"),
    ],
)
def test_nonsense_is_one_clear_error(tmp_path: Path, make_access: MakeAccess, said: str, answer: str) -> None:
    """A `python3` that is no Python, and answers: the run says so, and nothing crashes."""
    liar = tmp_path / "bin" / "python3.11"
    liar.parent.mkdir()
    liar.write_text(_LIAR.format(said=said, answer=answer))
    liar.chmod(0o755)
    (tmp_path / "bin" / "python3").symlink_to("python3.11")
    path = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    with ssh_server(tmp_path / "sshd", environ=path) as server, pytest.raises(MachineError, match="makes no sense"):
        land(make_access(server.target(), server.known_line()), *ARGV)
