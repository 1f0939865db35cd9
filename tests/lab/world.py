"""What a host sees: decides the mounts that init.py carries out, and writes the files they show."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab.options import HostOptions

Step = dict[str, Any]
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_FILES = ("passwd", "group", "shadow", "hosts", "hostname")
REPOSITORY = Path(__file__).parents[2]
SSHD_CONFIG = """\
Port 22
{host_keys}
AuthorizedKeysFile /etc/ssh/authorized_keys/%u
UsePAM no
UseDNS no
PasswordAuthentication yes
KbdInteractiveAuthentication no
PermitRootLogin no
MaxStartups 100
PrintMotd no
PrintLastLog no
PidFile /run/sshd.pid
LogLevel DEBUG1
Subsystem sftp internal-sftp
"""


def folder_step(target: str) -> Step:
    """A folder to mount on."""
    return {"make": "folder", "target": target}


def file_step(target: str, content: str | None = None) -> Step:
    """A file to mount on, or a small one that is read."""
    return {"make": "file", "target": target} | ({} if content is None else {"content": content})


def mount_step(source: str, target: str, kind: str, *options: str) -> Step:
    """One mount."""
    return {"source": source, "target": target, "kind": kind, "options": list(options)}


def bind_steps(source: str, target: str, *options: str) -> list[Step]:
    """One tree shown at another place; the flags need a second call."""
    steps = [mount_step(source, target, "", "bind", "rec")]
    return steps + ([mount_step("none", target, "", "remount", "bind", *options)] if options else [])


def device_steps(root: str) -> list[Step]:
    """A /dev with what every program expects, and shared memory of its own."""
    steps = [mount_step("dev", f"{root}/dev", "tmpfs", "nosuid", "mode=755", "size=64k")]
    for name in _DEVICES:
        steps += [file_step(f"{root}/dev/{name}"), *bind_steps(f"/dev/{name}", f"{root}/dev/{name}")]
    links = {"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}
    steps += [{"make": "link", "source": to, "target": f"{root}/dev/{name}"} for name, to in links.items()]
    for name in ("pts", "shm"):
        steps.append(folder_step(f"{root}/dev/{name}"))
    steps.append(mount_step("devpts", f"{root}/dev/pts", "devpts", "newinstance", "ptmxmode=0666", "mode=620"))
    steps.append(mount_step("shm", f"{root}/dev/shm", "tmpfs", "nosuid", "nodev", "mode=1777"))
    return steps


def world_steps(
    folder: Path, options: HostOptions, *, system: Path, home: Path, shown: Sequence[Path], hidden: Sequence[str]
) -> list[Step]:
    """Everything from an empty place to the host's root.

    folder: the host's own, with root/ (empty), etc/ and ssh/. system: the root that it is made from.
    shown: folders of this machine that appear at the same path, read-only. hidden: paths that are masked.
    """
    root = str(folder / "root")
    steps = [*bind_steps(str(system), root, "ro"), *device_steps(root)]
    steps.append(mount_step("proc", f"{root}/proc", "proc", "nosuid", "nodev", "noexec"))
    steps.append(mount_step("sysfs", f"{root}/sys", "sysfs", "nosuid", "nodev", "noexec", "ro"))
    steps.append(mount_step("run", f"{root}/run", "tmpfs", "nosuid", "nodev", "mode=755"))
    steps += [folder_step(f"{root}/run/{name}") for name in ("sshd", "lock", "lab-nothing")]
    steps.append(file_step(f"{root}/run/lab-empty"))
    # A machine that was switched on again is another one in this respect.
    steps.append(file_step(f"{root}/run/boot-id", f"{uuid.uuid4()}\n"))
    steps += bind_steps(f"{root}/run/boot-id", f"{root}/proc/sys/kernel/random/boot_id", "ro")
    noexec = ["noexec"] if options.tmp_is_noexec else []
    steps.append(mount_step("tmp", f"{root}/tmp", "tmpfs", "nosuid", "nodev", *noexec, "mode=1777"))
    steps.append(mount_step("var-tmp", f"{root}/var/tmp", "tmpfs", "nosuid", "nodev", "mode=1777"))
    for path in shown:
        steps += [folder_step(f"{root}{path}"), *bind_steps(str(path), f"{root}{path}", "ro")]
    steps += bind_steps(str(home), f"{root}/home")
    steps += bind_steps(str(folder / "ssh"), f"{root}/etc/ssh")
    for name in _FILES:
        steps += bind_steps(str(folder / "etc" / name), f"{root}/etc/{name}")
    for masked in hidden:
        inside = Path(f"{system}{masked}")
        if inside.exists() and not masked.startswith(_OWN_FOLDERS):
            mask = "lab-nothing" if inside.is_dir() else "lab-empty"
            steps += bind_steps(f"{root}/run/{mask}", f"{root}{masked}", "ro")
    return steps


# A host has these for itself: whatever this machine has there is not seen from it anyway.
_OWN_FOLDERS = ("/tmp/", "/var/tmp/", "/home/", "/run/")


def hosts_file(own: str, addresses: dict[str, str], *, has_loopback_name: bool) -> str:
    """/etc/hosts of the host `own`."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost"]
    if has_loopback_name:
        lines.append(f"127.0.1.1 {own}")
    lines += [f"{address} {name}" for name, address in addresses.items() if not (has_loopback_name and name == own)]
    return "".join(f"{line}\n" for line in lines)


def network_lines(address: str, neighbours: dict[str, str], *, has_docker_bridge: bool) -> str:
    """Lines of `ip -batch` inside the host; `neighbours` are hardware addresses by address."""
    lines = ["link set lo up", f"addr add {address}/24 dev eth0", "link set eth0 up"]
    lines += [
        f"neigh replace {other} lladdr {hardware} nud permanent dev eth0"
        for other, hardware in neighbours.items()
        if other != address
    ]
    if has_docker_bridge:
        # A container's cable is plugged in, so that docker0 is up as on a machine where containers run.
        lines += [
            "link add docker0 type bridge",
            "addr add 172.17.0.1/16 dev docker0",
            "link set docker0 up",
            "link add veth0 type veth peer name container0",
            "link set veth0 master docker0 up",
            "link set container0 up",
        ]
    return "".join(f"{line}\n" for line in lines)
