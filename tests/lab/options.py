"""How a host differs from a plain one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """What may be asked of a host; every default is the harmless case.

    login_shell: an absolute path inside the host.
    bashrc: the text of ~/.bashrc, which bash reads also for a command over ssh.
    has_loopback_name: its own name is 127.0.1.1 in its /etc/hosts, as Debian's installer leaves it.
    has_docker_bridge: it has a docker0 with 172.17.0.1/16, the same address as every other such host.
    rootfs: "bullseye", "trixie" (see rootfs.py), or None for this machine's own system, read-only.
    home: hosts with the same word share one /home; None is one of its own, which survives reboots.
    home_size_bytes: /home is a disk of this size, which `fill_disk` can fill.
    tmp_is_noexec: nothing in /tmp can be executed.
    hidden: absolute paths inside the host that are masked by an empty file or folder.
    sshd_options: lines for sshd_config, ahead of all others.
    has_package_index: pip on it reaches the machine's package index through a proxy of the lab.
    """

    login_shell: str = "/bin/bash"
    bashrc: str = ""
    has_loopback_name: bool = False
    has_docker_bridge: bool = False
    rootfs: str | None = None
    home: str | None = None
    home_size_bytes: int | None = None
    tmp_is_noexec: bool = False
    hidden: tuple[str, ...] = ()
    sshd_options: tuple[str, ...] = ()
    has_package_index: bool = False

    def __post_init__(self) -> None:
        if self.home is not None and self.home_size_bytes is not None:
            raise ValueError("a shared home has no size of its own")
