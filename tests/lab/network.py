"""The switch that the hosts are plugged into: a bridge in a network namespace of its own, and a cable to this machine.

    root namespace                 switch                    host
    srlabN 10.213.N.1/24 ------ uplink  (bridge br0)  p1 ------ eth0 10.213.N.11

A Docker engine that loads br_netfilter and sets net.bridge.bridge-nf-call-iptables=1 has bridged packets filtered by
its own chains, and then hosts on a bridge beside it cannot reach each other. The setting and the chains belong to a
network namespace each: the bridge in here has the switch's, where nobody filters.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.lab.command import LabError, run
from tests.lab.process import Process

BRIDGE = "br0"
FIRST_HOST = 11
MOST_HOSTS = 64
# As many labs may stand beside each other; a link's name is the claim to its subnet.
_SUBNETS = 64


class Subnet:
    """10.213.N.0/24, and what is called after it."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.link = f"srlab{number}"
        self.submitter = f"10.213.{number}.1"
        self.network = ipaddress.ip_network(f"10.213.{number}.0/24")

    def address(self, index: int) -> str:
        """The address of the host with this index, from 0."""
        return f"10.213.{self.number}.{FIRST_HOST + index}"

    def hardware_address(self, index: int) -> str:
        """A host keeps it over reboots: else its neighbours would talk to the old one until they forget it."""
        return f"02:00:0a:d5:{self.number:02x}:{FIRST_HOST + index:02x}"


def free_subnets() -> list[Subnet]:
    """Those that no route of this machine touches."""
    routes = [route["dst"] for route in json.loads(run(["ip", "-json", "-4", "route"])) if route["dst"] != "default"]
    taken = [ipaddress.ip_network(route, strict=False) for route in routes]
    subnets = [Subnet(number) for number in range(_SUBNETS)]
    return [subnet for subnet in subnets if not any(subnet.network.overlaps(other) for other in taken)]


class Switch:
    """The bridge; it lives as long as the process that holds its namespaces."""

    def __init__(self, subnet: Subnet, holder: Process) -> None:
        self.subnet = subnet
        self.holder = holder

    @classmethod
    def start(cls, owner_fd: int) -> tuple[Switch, subprocess.Popen[bytes]]:
        """A switch on a free subnet, and the process to wait for once it has ended."""
        hold = [sys.executable, "-I", "-S", str(Path(__file__).with_name("hold.py")), str(owner_fd)]
        holder = subprocess.Popen(
            ["unshare", "--net", "--mount", *hold],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            pass_fds=[owner_fd],
            start_new_session=True,
        )
        assert holder.stdout is not None
        with holder.stdout as said:
            if said.readline() != b"born\n":
                raise LabError(f"no namespaces for the switch: unshare ended with {holder.wait()}")
        try:
            switch = cls(_claim(holder.pid), Process.of(holder.pid))
            switch.set_up()
        except BaseException:
            holder.kill()
            holder.wait()
            raise
        return switch, holder

    def set_up(self) -> None:
        """Makes the bridge, plugs this machine into it, and gives this machine its address."""
        self.configure(
            [
                "link set lo up",
                f"link add {BRIDGE} type bridge",
                f"link set {BRIDGE} up",
                f"link set uplink master {BRIDGE} up",
            ]
        )
        link = self.subnet.link
        run(["ip", "-batch", "-"], stdin=f"addr add {self.subnet.submitter}/24 dev {link}\nlink set {link} up\n")

    def inside(self, argv: Sequence[str]) -> list[str]:
        """The command that runs `argv` in the switch's namespaces."""
        return ["nsenter", f"--target={self.holder.pid}", "--net", "--mount", *argv]

    def configure(self, lines: Sequence[str]) -> None:
        """Lines of `ip -batch` in the switch."""
        run(self.inside(["ip", "-batch", "-"]), stdin="".join(f"{line}\n" for line in lines))

    def plug(self, hosts: dict[int, int]) -> None:
        """Lays a cable to each host, by index; the value is a process in the host's network namespace."""
        lines = []
        for index, pid in hosts.items():
            lines += [
                f"link add {port(index)} type veth peer name eth0 netns {pid}"
                f" address {self.subnet.hardware_address(index)}",
                f"link set {port(index)} master {BRIDGE} up",
            ]
        self.configure(lines)

    def unplug(self, index: int) -> None:
        """Pulls the cable: whatever is on its way is lost, and nobody is told."""
        if port(index) in self.ports():
            self.configure([f"link delete {port(index)}"])

    def ports(self) -> set[str]:
        """The names of the links in the switch."""
        return {link["ifname"] for link in json.loads(run(self.inside(["ip", "-json", "link"])))}

    def end(self) -> None:
        """Removes the link of this machine and the holder; the kernel clears the namespace by itself."""
        remove_link(self.subnet.link)
        self.holder.end()


def port(index: int) -> str:
    """The switch's end of the cable to a host."""
    return f"p{index + 1}"


def remove_link(name: str) -> None:
    """Removes a link of the root namespace where it is still there."""
    if Path("/sys/class/net", name).exists():
        try:
            run(["ip", "link", "delete", name])
        except LabError:
            if Path("/sys/class/net", name).exists():  # Else its other end just went, and it with that.
                raise


def _claim(pid: int) -> Subnet:
    """Makes the link of the first subnet that is free; making it is what claims the subnet."""
    for subnet in free_subnets():
        try:
            run(["ip", "link", "add", subnet.link, "type", "veth", "peer", "name", "uplink", "netns", str(pid)])
            return subnet
        except LabError as problem:
            if "File exists" not in str(problem):
                raise
    raise LabError("every subnet 10.213.N.0/24 is in use: stop other labs (python -m tests.lab clean)")
