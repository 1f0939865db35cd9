"""Lets pip on hosts use the package index that this machine's pip uses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.lab.command import LabError, run
from tests.lab.process import Process
from tests.lab.users import User

PROXY_PORT = 3128
# What says where packages are; the rest of a person's pip settings is not the hosts' business.
_COPIED = ("index-url", "extra-index-url", "find-links", "trusted-host", "cert", "timeout", "default-timeout")


def pip_settings(proxy_address: str) -> str:
    """A pip.conf with this machine's indexes, reached through the proxy."""
    found: dict[str, str] = {}
    for line in run([sys.executable, "-m", "pip", "config", "list"]).splitlines():
        name, _, value = line.partition("=")
        name = name.rpartition(".")[2]
        if name in _COPIED:
            found["timeout" if name == "default-timeout" else name] = value.strip("'")
    found["proxy"] = f"http://{proxy_address}:{PROXY_PORT}"
    return "[global]\n" + "".join(f"{name} = {value}\n" for name, value in found.items())


def write_pip_settings(homes: Path, people: tuple[User, ...], settings: str) -> None:
    """Puts the settings where pip looks for a user's own."""
    for user in people:
        folder = homes / user.name / ".config/pip"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "pip.conf").write_text(settings)
        for path in (folder.parent, folder, folder / "pip.conf"):
            os.chown(path, user.uid, user.uid)


def start_proxy(address: str, owner_fd: int) -> subprocess.Popen[bytes]:
    """Starts the proxy on the lab's subnet."""
    program = [sys.executable, "-I", "-S", str(Path(__file__).with_name("proxy.py"))]
    started = subprocess.Popen(
        [*program, address, str(PROXY_PORT), str(owner_fd)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        pass_fds=[owner_fd],
        start_new_session=True,
    )
    assert started.stdout is not None
    with started.stdout as said:
        if said.readline() != b"up\n":
            raise LabError(f"no proxy on {address}: it ended with {started.wait()}")
    return started


def end_proxy(started: subprocess.Popen[bytes]) -> None:
    """Ends it, if it has not ended by itself."""
    if started.poll() is None:
        Process.of(started.pid).end()
    started.wait()
