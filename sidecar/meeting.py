"""Finds out at which of its addresses each node of a run can be reached by the others, by trying them all.

Every node listens on a port that the kernel chose; connecting is enough, nothing is said. An address that several
machines have (docker0's 172.17.0.1, 127.0.1.1) leads back to the one who tries, where nobody listens on that port.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import ipaddress
import os
import socket
import struct
import time
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

# ioctl(2) numbers of linux/sockios.h.
_SIOCGIFADDR = 0x8915
_SIOCGIFNETMASK = 0x891B
# Within one network an answer takes milliseconds; a firewall that drops never answers.
_CONNECT_LIMIT_S = 3.0
# A supervisor that was killed listens again once its node has a new one.
_PATIENCE_S = 10.0
_AGAIN_S = 0.2
_REFUSED = os.strerror(errno.ECONNREFUSED)
_BACKLOG = 1024
_THREADS = 16


class Address(NamedTuple):
    """One address of this node: the interface's name, and the address with its network's width."""

    interface: str
    ip: str
    prefix: int


class Listener:
    """A port at which this node can be found while the others look for it."""

    def __init__(self, port: int = 0) -> None:
        """`port` is that of an earlier supervisor, which the others may know. Raises OSError where it is taken."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("", port))
        # Nobody accepts: the kernel does, as far as the others can tell.
        self._socket.listen(_BACKLOG)
        self.port: int = self._socket.getsockname()[1]

    def close(self) -> None:
        """Can no longer be found."""
        self._socket.close()


def own_addresses() -> List[Address]:
    """Every IPv4 address of this node but loopback; those of bridges that containers make come last."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            with contextlib.suppress(OSError):  # an interface without an IPv4 address
                ip = socket.inet_ntoa(fcntl.ioctl(asked, _SIOCGIFADDR, request)[20:24])
                mask = socket.inet_ntoa(fcntl.ioctl(asked, _SIOCGIFNETMASK, request)[20:24])
                if not ip.startswith("127."):
                    found.append(Address(name, ip, ipaddress.IPv4Network(f"0.0.0.0/{mask}").prefixlen))
    return sorted(found, key=lambda address: address.interface.startswith(("docker", "br-", "virbr", "cni", "veth")))


def meet(
    peers: Sequence[Mapping[str, Any]], own: Sequence[Address], *, patience_s: float = _PATIENCE_S
) -> Dict[str, Any]:
    """Tries every address of every peer: {"reached": {node_id: [address]}, "failed": {node_id: {address: why}}}.

    A peer is {"node_id", "addresses": [text], "port"}. An address that this node has as well is not tried. A peer of
    which nothing was reached, but which was there to refuse, is tried again for `patience_s`.
    """
    # Not at the top: it brings logging and more, a third of a supervisor's start, and most runs have one node.
    from concurrent.futures import ThreadPoolExecutor

    mine = {address.ip for address in own}
    tries = [(peer, ip) for peer in peers for ip in peer["addresses"]]
    reached: Dict[str, List[str]] = {str(peer["node_id"]): [] for peer in peers}
    failed: Dict[str, Dict[str, str]] = {str(peer["node_id"]): {} for peer in peers}
    deadline = time.monotonic() + patience_s
    with ThreadPoolExecutor(_THREADS) as pool:
        while tries:
            results = pool.map(lambda one: _try(one[1], int(one[0]["port"]), mine), tries)
            for (peer, ip), problem in zip(tries, results):
                if problem is None:
                    reached[str(peer["node_id"])].append(ip)
                    failed[str(peer["node_id"])].pop(ip, None)
                else:
                    failed[str(peer["node_id"])][ip] = problem
            tries = [
                (peer, ip)
                for peer, ip in tries
                if not reached[str(peer["node_id"])] and failed[str(peer["node_id"])][ip] == _REFUSED
            ]
            if time.monotonic() >= deadline:
                break
            if tries:
                time.sleep(_AGAIN_S)
    return {"reached": reached, "failed": failed}


def _try(ip: str, port: int, mine: set[str]) -> Optional[str]:
    if ip in mine:
        return "this node has that address too"
    try:
        socket.create_connection((ip, port), timeout=_CONNECT_LIMIT_S).close()
    except OSError as error:
        return _reason(error)
    return None


def _reason(error: OSError) -> str:
    if isinstance(error, socket.timeout) or error.errno == errno.ETIMEDOUT:
        return "no answer (a firewall?)"
    return os.strerror(error.errno) if error.errno else str(error)


def order_addresses(own: Sequence[Address], first: str) -> Tuple[List[str], Dict[str, Dict[str, str]]]:
    """(addresses in the order in which they should be tried, {"network", "interface"} of each).

    `first` is how the node was reached.

    A node behind a forwarded port is reached at an address that it does not have itself: then its own come first.
    """
    ips = [address.ip for address in own]
    ordered = [ip for ip in ips if ip == first] + [ip for ip in ips if ip != first]
    facts = {
        address.ip: {
            "network": str(ipaddress.IPv4Network(f"{address.ip}/{address.prefix}", strict=False)),
            "interface": address.interface,
        }
        for address in own
    }
    return ordered, facts
