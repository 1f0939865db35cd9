"""A Docker engine of the tests' own: in namespaces of its own, so that it leaves no rule, mount or process behind.

`python -m tests.docker.engine` starts one and says in a line why it cannot (exit code 1).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import docker

from runner.containers.presence import check_engine
from runner.errors import MachineError
from tests.lab.command import LabError, run
from tests.lab.process import Process, first_child

# A slow disk takes its time to make the engine's first files.
_START_LIMIT_S = 60.0
_PROGRAMS = ("dockerd", "docker-init", "unshare", "nsenter", "setpriv", "ip", "iptables")
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_DRIVERS = ("overlay2", "vfs")


class Engine:
    """An engine; `address` is for DOCKER_HOST."""

    def __init__(
        self,
        folder: Path,
        *,
        options: Sequence[str] = (),
        group: str = "root",
        has_own_network: bool = True,
        in_memory: bool = False,
    ) -> None:
        """`folder` keeps everything of it; its path is short, since a socket's may have 107 bytes.

        Without a network of its own it shares this machine's loopback, and makes no bridge there. Images in memory are
        made and removed quickly.
        """
        self.folder = folder
        self.address = f"unix://{folder}/s"
        self._options = options if has_own_network else (*options, "--bridge=none", "--iptables=false")
        self._group = group
        self._daemon: subprocess.Popen[bytes] | None = None
        self._driver = _DRIVERS[0]
        network = ["--net"] if has_own_network else []
        command = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", *network, "--pid", "--fork", "--kill-child"]
        command += ["--mount-proc", "docker-init", "--", "sleep", "infinity"]
        self._unshare = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self.first = self._first_process()
        self.inside(["ip", "link", "set", "lo", "up"])
        if in_memory:
            (folder / "data").mkdir()
            self.inside(["mount", "-t", "tmpfs", "-o", "mode=711", "engine", str(folder / "data")])

    def _first_process(self) -> Process:
        deadline = time.monotonic() + _START_LIMIT_S
        while time.monotonic() < deadline:
            with contextlib.suppress(IndexError, FileNotFoundError):
                pid = first_child(self._unshare.pid)
                if Path(f"/proc/{pid}/comm").read_text().strip() == "docker-init":
                    return Process.of(pid)
            if self._unshare.poll() is not None:
                break
            time.sleep(0.01)
        raise LabError("no namespaces may be made here (needs a real machine's root)")

    def enter(self, argv: Sequence[str]) -> list[str]:
        """The command that runs `argv` where the engine is."""
        return ["nsenter", "--target", str(self.first.pid), "--mount", "--net", "--pid", *argv]

    def inside(self, argv: Sequence[str]) -> str:
        """Runs a command where the engine is."""
        return run(self.enter(argv))

    def start(self) -> None:
        """Starts the daemon, with the first storage driver that works. Raises LabError."""
        problem = ""
        for driver in _DRIVERS if self._daemon is None else (self._driver,):
            self._driver = driver
            if self._starts(driver):
                return
            lines = (self.folder / "log").read_text(errors="replace").splitlines()
            problem = next((line for line in reversed(lines) if "failed to start daemon" in line), " ".join(lines[-1:]))
            self.kill()
        raise LabError(f"dockerd does not start: {problem[-300:]}")

    def _starts(self, driver: str) -> bool:
        argv = ["dockerd", f"--data-root={self.folder}/data", f"--exec-root={self.folder}/x"]
        argv += [f"--pidfile={self.folder}/pid", f"--host={self.address}", f"--group={self._group}"]
        argv += [f"--storage-driver={driver}", f"--cgroup-parent=/{self.folder.name}", *self._options]
        with open(self.folder / "log", "wb") as log:
            self._daemon = subprocess.Popen(self.enter(argv), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + _START_LIMIT_S
        while time.monotonic() < deadline and self._daemon.poll() is None:
            # Not the docker package: an attempt of it that fails leaves its socket open.
            with contextlib.suppress(MachineError):
                check_engine({"DOCKER_HOST": self.address})
                return True
            time.sleep(0.05)
        return False

    def client(self) -> docker.APIClient:
        """A client of its own. Raises DockerException where the engine does not answer."""
        return docker.APIClient(base_url=self.address, version="auto", timeout=60)

    def stop(self) -> None:
        """As `systemctl stop docker`."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """`kill -9`: containers go on without it."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        if self._daemon is None:
            return
        with contextlib.suppress(FileNotFoundError, ValueError, LabError):
            pid = int((self.folder / "pid").read_text())
            self.inside(["kill", f"-{number}", str(pid)])
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._daemon.wait(timeout=30)
        if self._daemon.poll() is None:
            self._daemon.kill()
            self._daemon.wait()
        (self.folder / "pid").unlink(missing_ok=True)

    def close(self) -> None:
        """Ends the engine and all of its containers, and removes what they left.

        Not by asking it: one that was killed before waits for half a minute for what is no more.
        """
        self.kill()
        self.first.end()
        self._unshare.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
        remove_groups(self.folder.name)


def remove_groups(name: str) -> None:
    """Removes the control groups of containers that are no more, below the group of that name."""
    groups = Path("/sys/fs/cgroup")  # Of version 1: a tree a controller; of version 2: one tree.
    for controller in (groups / name, *groups.glob(f"*/{name}")):
        for group, _, _ in os.walk(controller, topdown=False):
            with contextlib.suppress(OSError):  # Some have a process that has not quite ended.
                os.rmdir(group)


@contextlib.contextmanager
def running_engine(
    *, options: Sequence[str] = (), group: str = "root", has_own_network: bool = True, in_memory: bool = False
) -> Iterator[Engine]:
    """An engine that answers. Raises LabError where this machine cannot run one."""
    missing = [name for name in _PROGRAMS if shutil.which(name, path=_PATH) is None]
    if os.geteuid() != 0 or missing:
        raise LabError(f"{', '.join(missing)} not installed (apt install docker.io)" if missing else "needs root")
    # Not below pytest's folder: the socket's path would be too long. Readable for other users, as /var/run is.
    folder = Path(tempfile.mkdtemp(prefix="srd-", dir="/var/tmp"))
    folder.chmod(0o755)
    try:
        engine = Engine(folder, options=options, group=group, has_own_network=has_own_network, in_memory=in_memory)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    try:
        engine.start()
        yield engine
    finally:
        engine.close()


if __name__ == "__main__":
    try:
        with running_engine() as found:
            print(f"dockerd {found.client().version()['Version']} runs here")
    except LabError as error:
        sys.exit(f"no Docker engine can be started here: {error}")
