"""The first process of a host: mounts its world, starts its sshd, reaps, and ends when the lab's owner is gone.

Started as `unshare --fork --pid --net --mount ... python -I -S init.py BOOT_FILE OWNER_FD`, as root, by the machine's
own Python also where the host's root is another system: so everything is imported before the root is changed. Says
`born` on stdout, waits for a line on stdin (its cable is plugged in by then), and says `up` or `error ...`.

OWNER_FD is a pidfd of the process that the lab belongs to. When that one dies, however it dies, this one ends, and
with it all that is in its namespaces: processes, mounts, addresses. SIGUSR1 and SIGUSR2 start and stop sshd.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
from typing import Any

MS = {"ro": 1, "nosuid": 2, "nodev": 4, "noexec": 8, "remount": 32, "bind": 4096, "rec": 16384, "private": 1 << 18}
MNT_DETACH = 2
libc = ctypes.CDLL(None, use_errno=True)


def call(result: int, what: str) -> None:
    """Raises what libc complained about."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def mount(source: str, target: str, kind: str, options: list[str]) -> None:
    """Mounts one thing; options that are no flags go to the file system."""
    flags = sum(MS[option] for option in options if option in MS)
    rest = ",".join(option for option in options if option not in MS)
    done = libc.mount(source.encode(), target.encode(), kind.encode(), flags, rest.encode())
    call(done, f"mount {kind} {source} on {target} ({','.join(options)})")


def prepare(step: dict[str, str]) -> None:
    """Makes the place that is mounted on, or a link, or a small file."""
    target = step["target"]
    if step["make"] == "folder":
        os.makedirs(target, exist_ok=True)
    elif step["make"] == "file":
        with open(target, "a"):
            pass
        if "content" in step:
            with open(target, "w") as stream:
                stream.write(step["content"])
    else:
        os.symlink(step["source"], target)


def build_world(boot: dict[str, Any]) -> None:
    """Carries out the steps and makes their result the root."""
    for step in boot["steps"]:
        if "make" in step:
            prepare(step)
        else:
            mount(step["source"], step["target"], step["kind"], step["options"])
    os.chdir(boot["root"])
    call(libc.pivot_root(b".", b"."), "pivot_root")
    call(libc.umount2(b".", MNT_DETACH), "umount2")
    os.chdir("/")


class Sshd:
    """The listener, a child of ours; its sessions outlive it, as on any machine."""

    def __init__(self, boot: dict[str, Any]) -> None:
        self._argv: list[str] = boot["sshd"]
        self._environment: dict[str, str] = boot["environment"]
        self.pid: int | None = None
        self._is_to_return = False

    def start(self) -> None:
        if self.pid is not None:
            self._is_to_return = True  # One that was told to end may not have ended yet.
        else:
            self._is_to_return = False
            self.pid = os.fork()
            if self.pid == 0:
                os.setsid()
                os.execve(self._argv[0], self._argv, self._environment)

    def stop(self) -> None:
        self._is_to_return = False
        if self.pid is not None:
            os.kill(self.pid, signal.SIGTERM)

    def reap(self) -> None:
        """Buries every dead process of the host."""
        while True:
            try:
                pid = os.waitpid(-1, os.WNOHANG)[0]
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid:
                self.pid = None
                if self._is_to_return:
                    self.start()


def serve(sshd: Sshd, owner: int) -> None:
    """Does as the signals say until the owner has ended."""
    ours, kernels = socket.socketpair()
    for end in (ours, kernels):
        end.setblocking(False)
    signal.set_wakeup_fd(kernels.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda *_: None)
    sshd.start()
    print("up", flush=True)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    while True:
        ready = select.select([ours.fileno(), owner], [], [])[0]
        if owner in ready:
            os._exit(0)
        for heard in ours.recv(4096):
            if heard == signal.SIGUSR1:
                sshd.start()
            elif heard == signal.SIGUSR2:
                sshd.stop()
        sshd.reap()


def main(boot_file: str, owner: int) -> None:
    """Brings the host up and serves it."""
    os.set_inheritable(owner, False)
    with open(boot_file) as stream:
        boot = json.load(stream)
    print("born", flush=True)
    sys.stdin.readline()
    try:
        socket.sethostname(boot["name"])
        subprocess.run(["ip", "-batch", "-"], input=boot["network"].encode(), check=True)
        build_world(boot)
    except (OSError, subprocess.CalledProcessError) as problem:
        print(f"error {problem}", flush=True)
        os._exit(1)
    os.umask(0o022)
    serve(Sshd(boot), owner)


main(sys.argv[1], int(sys.argv[2]))
