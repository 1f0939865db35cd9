"""A Docker engine on a host of the lab: in all its namespaces, with a socket that user lab may use."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Iterator, Sequence

import docker

from runner.containers.presence import check_engine
from runner.errors import MachineError
from tests.docker.engine import remove_groups
from tests.lab.command import LabError
from tests.lab.host import Host

_START_LIMIT_S = 60.0
_SOCKET, _PID = "/run/docker.sock", "/run/docker.pid"
_DISK, _MEMORY = "/home/engine", "/run/engine"
# A host sees no control groups: its engine gets those of this machine.
_GROUPS = """
set -e
mount -t tmpfs cgroup /sys/fs/cgroup
for name in cpu cpuacct cpuset memory devices freezer blkio pids; do
    mkdir /sys/fs/cgroup/$name; mount -t cgroup -o $name cgroup /sys/fs/cgroup/$name || rmdir /sys/fs/cgroup/$name
done
if [ -d /sys/fs/cgroup/memory ]; then
    mkdir /sys/fs/cgroup/systemd; mount -t cgroup -o none,name=systemd cgroup /sys/fs/cgroup/systemd || true
else
    umount /sys/fs/cgroup; mount -t cgroup2 cgroup /sys/fs/cgroup
fi
"""
# A host has the id of a boot of its own, and whatever runs in its containers must see that one too.
_RUNTIME = """#!/bin/sh
case " $* " in *" create "*) /usr/bin/python3 -I -S /run/boot-hook "$@";; esac
exec runc "$@"
"""
_BOOT_HOOK = """
import json, sys
path = sys.argv[sys.argv.index("--bundle") + 1] + "/config.json"
with open(path) as stream:
    config = json.load(stream)
target = config["root"]["path"] + "/proc/sys/kernel/random/boot_id"
hook = {"path": "/bin/mount", "args": ["mount", "--bind", "/run/boot-id", target]}
config.setdefault("hooks", {}).setdefault("createContainer", []).append(hook)
with open(path, "w") as stream:
    json.dump(config, stream)
"""


class HostEngine:
    """The engine of one host."""

    def __init__(self, host: Host, *, in_memory: bool = True) -> None:
        """Images in memory are loaded and removed quickly; on the disk they outlive the host's power."""
        self.host = host
        self._data = _MEMORY if in_memory else _DISK
        self._daemon: subprocess.Popen[bytes] | None = None
        host.run("sh", "-c", _GROUPS)
        host.run("mkdir", "-p", self._data)
        host.run("sh", "-c", "cat > /run/boot-hook", stdin=_BOOT_HOOK)
        host.run("sh", "-c", "cat > /run/runtime && chmod 755 /run/runtime", stdin=_RUNTIME)

    @property
    def group(self) -> str:
        """The control group of its containers."""
        return f"{self.host.folder.parent.name}-{self.host.name}"

    @property
    def address(self) -> str:
        """Where this machine finds it; a socket's path may have 107 bytes."""
        return f"unix://{self.host.path(_SOCKET)}"

    def argv(self, socket: str) -> list[str]:
        """The daemon's command, but for further options."""
        argv = ["dockerd", f"--data-root={self._data}", "--exec-root=/run/docker-x", f"--pidfile={_PID}"]
        argv += [f"--host=unix://{socket}", f"--group={self.host.lab_user.uid}", "--bridge=none", "--iptables=false"]
        return [*argv, f"--cgroup-parent=/{self.group}", "--add-runtime=lab=/run/runtime", "--default-runtime=lab"]

    def start(self, *options: str) -> None:
        """Starts the daemon, with further options. Raises LabError."""
        path = self.host.folder / "dockerd.log"
        # Its own process id is that of the shell, which it takes the place of.
        argv = ["sh", "-c", f'echo $$ > {_PID}.own; exec "$@"', "sh", *self.argv(_SOCKET), *options]
        with open(path, "ab") as log:
            self._daemon = subprocess.Popen(self.host.inside(argv), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + _START_LIMIT_S
        while time.monotonic() < deadline and self._daemon.poll() is None:
            with contextlib.suppress(MachineError):
                check_engine({"DOCKER_HOST": self.address})
                self.host.run("chgrp", str(self.host.lab_user.uid), _SOCKET)
                self.host.run("chmod", "660", _SOCKET)
                return
            time.sleep(0.05)
        raise LabError(f"{argv[4]} does not start on {self.host.name}: {path.read_text(errors='replace')[-600:]}")

    def client(self) -> docker.APIClient:
        """A client of its own."""
        return docker.APIClient(base_url=self.address, version="auto", timeout=60)

    def stop(self) -> None:
        """As `systemctl stop docker`; its containers end unless it restores them."""
        self._end("TERM")

    def kill(self) -> None:
        """`kill -9`: containers go on without it."""
        self._end("KILL")

    def _end(self, signal_name: str) -> None:
        if self._daemon is not None and self._daemon.poll() is None:
            with contextlib.suppress(LabError):
                self.host.run("sh", "-c", f"kill -{signal_name} $(cat {_PID}.own)")
            self._daemon.wait(timeout=60)
            self.host.run("rm", "-f", _PID)

    def containers(self) -> list[str]:
        """The names of all containers with our labels, dead ones too."""
        with contextlib.closing(self.client()) as client:
            found = client.containers(all=True, filters={"label": "io.scriptrun.run"})
        return sorted(str(container["Names"][0]).lstrip("/") for container in found)

    def leftovers(self) -> list[str]:
        """Volumes, and networks that the engine has not by itself."""
        with contextlib.closing(self.client()) as client:
            volumes = [str(volume["Name"]) for volume in client.volumes()["Volumes"] or ()]
            networks = [str(network["Name"]) for network in client.networks()]
        return volumes + [name for name in networks if name not in ("bridge", "host", "none")]


@contextlib.contextmanager
def engines_on(hosts: Sequence[Host], *, in_memory: bool = True) -> Iterator[list[HostEngine]]:
    """An engine on each of the hosts."""
    made: list[HostEngine] = []
    try:
        for host in hosts:
            made.append(HostEngine(host, in_memory=in_memory))
            made[-1].start()
        yield made
    finally:
        for engine in made:
            engine.stop()
            remove_groups(engine.group)
