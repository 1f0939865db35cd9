"""One host: its files, its life, and what runs on it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from sidecar.contract import publish
from tests.lab import keys, users, world
from tests.lab.command import LabError, run
from tests.lab.network import Subnet
from tests.lab.options import HostOptions
from tests.lab.process import Process, first_child
from tests.lab.rootfs import rootfs

_BASE_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
_LISTENING, _SSH_PORT = "0A", "0016"


class HostProcess(NamedTuple):
    """A process on a host: its pid there, its pid on this machine, its name, its user, its words."""

    pid: int
    outer_pid: int
    comm: str
    uid: int
    argv: list[str]
    state: str


class Host:
    """A host that may be on or off; `folder` is its disk and outlives its power."""

    def __init__(self, folder: Path, *, index: int, name: str, subnet: Subnet, options: HostOptions) -> None:
        self.folder = folder
        self.index = index
        self.name = name
        self.address = subnet.address(index)
        self.options = options
        self.system = Path("/") if options.rootfs is None else rootfs(options.rootfs)
        # The pid namespace's first process; the one that unshared, which waits for it; None while the power is off.
        self.init: Process | None = None
        self.unshare: Process | None = None
        self._child: subprocess.Popen[str] | None = None
        # The process that is its long cable, and the same to be waited for where this process started it.
        self.wire: Process | None = None
        self.cable: subprocess.Popen[bytes] | None = None

    # Files.

    @property
    def people(self) -> tuple[users.User, users.User]:
        """(lab, guest)."""
        return users.users(self.system / "etc")

    @property
    def lab_user(self) -> users.User:
        """The user whose processes count."""
        return self.people[0]

    @property
    def own_homes(self) -> Path:
        """What is shown as /home unless the disk is shared or of a limited size."""
        return self.folder / "home"

    @property
    def sshd_log(self) -> Path:
        """What sshd said, since the host was made."""
        return self.folder / "sshd.log"

    def path(self, inside: str | Path) -> Path:
        """Where this machine sees an absolute path of the running host."""
        return Path(f"/proc/{self.running.pid}/root{inside}")

    def write_files(self, *, addresses: dict[str, str], public_key: str) -> None:
        """Everything on its disk but the homes."""
        for name in ("root", "etc", "ssh/authorized_keys", "home"):
            (self.folder / name).mkdir(parents=True)
        etc, ssh = self.folder / "etc", self.folder / "ssh"
        users.write_accounts(self.system / "etc", self.people, into=etc, login_shell=self.options.login_shell)
        own = world.hosts_file(self.name, addresses, has_loopback_name=self.options.has_loopback_name)
        (etc / "hosts").write_text(own)
        (etc / "hostname").write_text(f"{self.name}\n")
        keys.give_host_keys(self.index, ssh)
        host_keys = "\n".join(f"HostKey /etc/ssh/{keys.host_key_name(kind)}" for kind in keys.HOST_KEY_TYPES)
        lines = [*self.options.sshd_options, world.SSHD_CONFIG.format(host_keys=host_keys)]
        (ssh / "sshd_config").write_text("\n".join(lines))
        (ssh / "authorized_keys" / self.lab_user.name).write_text(f"{public_key}\n")

    # Life.

    @property
    def is_on(self) -> bool:
        """Whether it runs."""
        return self.init is not None and self.init.is_alive

    @property
    def running(self) -> Process:
        """Its first process; raises LabError while the power is off."""
        if self.init is None or not self.is_on:
            raise LabError(f"{self.name} is switched off")
        return self.init

    def begin(self, *, owner_fd: int, inside_switch: Callable[[Sequence[str]], list[str]]) -> None:
        """Starts its first process, which then waits for its cable."""
        init = [
            sys.executable,
            "-I",
            "-S",
            str(Path(__file__).with_name("init.py")),
            str(self._boot_file),
            str(owner_fd),
        ]
        unshare = ["unshare", "--fork", "--kill-child=KILL", "--pid", "--net", "--mount", "--uts", "--ipc"]
        with open(self.sshd_log, "a") as log:
            # The switch's mounts are where disks of a limited size are; its network is not what the host keeps.
            self._child = subprocess.Popen(
                inside_switch([*unshare, *init]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                pass_fds=[owner_fd],
                start_new_session=True,
            )

    def wait_born(self) -> int:
        """Waits for its namespaces; returns the pid of a process in its network namespace."""
        self._expect("born")
        assert self._child is not None
        self.unshare = Process.of(self._child.pid)
        self.init = Process.of(first_child(self._child.pid))
        return self._child.pid

    def plan_boot(self, *, home: Path, shown: Sequence[Path], neighbours: dict[str, str]) -> None:
        """Writes down what its first process will do."""
        hidden = [*self.options.hidden, *([str(world.REPOSITORY)] if self.system == Path("/") else [])]
        boot = {
            "name": self.name,
            "root": str(self.folder / "root"),
            "network": world.network_lines(self.address, neighbours, has_docker_bridge=self.options.has_docker_bridge),
            "steps": world.world_steps(
                self.folder, self.options, system=self.system, home=home, shown=shown, hidden=hidden
            ),
            "sshd": ["/usr/sbin/sshd", "-D", "-e"],
            "environment": _BASE_ENVIRONMENT,
        }
        self._boot_file.write_bytes(publish.to_json(boot))

    def release(self) -> None:
        """Tells its first process that the cable is there."""
        assert self._child is not None and self._child.stdin is not None
        self._child.stdin.write("go\n")
        self._child.stdin.close()

    def wait_up(self, *, limit_s: float = 20.0) -> None:
        """Waits until its sshd listens."""
        self._expect("up")
        assert self._child is not None and self._child.stdout is not None
        self._child.stdout.close()
        self.wait_sshd(is_listening=True, limit_s=limit_s)

    def power_off(self) -> None:
        """Ends all its processes at once; whoever wants their peers not to notice pulls the cable first."""
        self.end_wire()
        for process in (self.init, self.unshare):
            if process is not None:
                process.end()
        if self._child is not None:
            self._child.wait(timeout=10)
            for stream in (self._child.stdin, self._child.stdout):
                if stream is not None:
                    stream.close()
        self.init = self.unshare = self._child = None

    def end_wire(self) -> None:
        """Ends the process that is its long cable; the port hangs loose then."""
        if self.wire is not None:
            self.wire.end()
        if self.cable is not None:
            self.cable.wait(timeout=10)
        self.wire = self.cable = None

    # What happens on it.

    def inside(self, argv: Sequence[str], *, user: str = "root") -> list[str]:
        """The command of this machine that runs `argv` on the host, in all its namespaces."""
        become = [] if user == "root" else ["setpriv", *self._identity(user), "--", "env", f"HOME=/home/{user}"]
        flags = ["--mount", "--uts", "--ipc", "--net", "--pid"]
        return ["nsenter", f"--target={self.running.pid}", *flags, *become, *argv]

    def run(self, *argv: str, user: str = "root", stdin: str | None = None, limit_s: float = 30.0) -> str:
        """What a command on the host printed, without ssh; raises LabError where it fails."""
        return run(self.inside(argv, user=user), stdin=stdin, limit_s=limit_s)

    def in_network(self, *argv: str, stdin: str | None = None) -> str:
        """What a command of this machine printed that ran in the host's network namespace."""
        return run(["nsenter", f"--target={self.running.pid}", "--net", *argv], stdin=stdin)

    def all_processes(self) -> list[HostProcess]:
        """Everything that runs on it, the dead left out."""
        namespace = os.readlink(f"/proc/{self.running.pid}/ns/pid")
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                process = _look_at(entry, namespace)
                if process is not None:
                    found.append(process)
        return sorted(found)

    def processes(self) -> list[tuple[int, list[str]]]:
        """(pid on the host, argv) of what user lab runs, the ends of ssh sessions left out."""
        mine = [process for process in self.all_processes() if process.uid == self.lab_user.uid]
        return [(process.pid, process.argv) for process in mine if not process.comm.startswith("sshd")]

    def wait_sshd(self, *, is_listening: bool, limit_s: float = 10.0) -> None:
        """Waits until port 22 is open, or closed; looked at from inside, so that no fault is in the way."""
        deadline = time.monotonic() + limit_s
        while self.listens() != is_listening:
            if time.monotonic() > deadline:
                said = self.sshd_log.read_text(errors="replace").splitlines()[-3:]
                raise LabError(f"{self.name}: sshd {'does not listen' if is_listening else 'listens'}: {said}")
            time.sleep(0.005)

    def listens(self) -> bool:
        """Whether something listens on port 22."""
        for name in ("tcp", "tcp6"):
            for line in Path(f"/proc/{self.running.pid}/net/{name}").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTENING and fields[1].endswith(f":{_SSH_PORT}"):
                    return True
        return False

    def set_sshd(self, *, is_up: bool) -> None:
        """Starts the listener or stops it; sessions go on."""
        if self.listens() == is_up:
            return
        os.kill(self.running.pid, signal.SIGUSR1 if is_up else signal.SIGUSR2)
        self.wait_sshd(is_listening=is_up)

    # Inside.

    @property
    def _boot_file(self) -> Path:
        return self.folder / "boot.json"

    def _identity(self, user: str) -> list[str]:
        uid = {person.name: person.uid for person in self.people}[user]
        return [f"--reuid={uid}", f"--regid={uid}", "--clear-groups"]

    def _expect(self, word: str) -> None:
        assert self._child is not None and self._child.stdout is not None
        said = self._child.stdout.readline().strip()
        if said != word:
            log = self.sshd_log.read_text(errors="replace").splitlines()[-5:]
            raise LabError(f"{self.name} did not start: {said or 'its first process died'}: {log}")


def _look_at(entry: Path, namespace: str) -> HostProcess | None:
    """The process behind /proc/PID where it is in the namespace and not dead."""
    try:
        if os.readlink(entry / "ns/pid") != namespace:
            return None
        status = dict(line.split(":\t", 1) for line in (entry / "status").read_text().splitlines() if ":\t" in line)
        argv = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError, PermissionError):  # The last: kernel threads, the machine's init.
        return None
    state = status["State"][0]
    if state in "ZX":
        return None
    uid = int(status["Uid"].split()[0])
    return HostProcess(int(status["NSpid"].split()[-1]), int(entry.name), status["Name"], uid, argv, state)
