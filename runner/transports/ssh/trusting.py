"""Asks machines for their host keys, without logging in, so that a person can compare and accept them."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from runner.errors import MachineError
from runner.transports.ssh.addresses import Hop
from runner.transports.ssh.connection import NoCommonKeyType, offered_key
from runner.transports.ssh.known_hosts import HostKey, Verdict
from runner.transports.ssh.ssh import SshAccess

# What sshd makes for itself at installation; ssh-keyscan asks for the same.
_KINDS = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa")
# Connections at once. Smaller: many nodes take long. Larger: threads, and a jump host that refuses (MaxStartups).
FAN_OUT = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What one server offers, with what the files say of each key; `problem` where it could not be asked."""

    hop: Hop
    keys: tuple[tuple[HostKey, Verdict], ...]
    problem: MachineError | None = None


def fetch_offers(access: SshAccess, routes: Sequence[tuple[Hop, ...]]) -> list[Offer]:
    """The offers of the last hops of `routes`, in that order, all asked at once. Hops before them are logged in to."""
    if not routes:
        return []
    with ThreadPoolExecutor(max_workers=min(FAN_OUT, len(routes)), thread_name_prefix="trust") as pool:
        return list(pool.map(lambda route: _fetch_offer(access, route), routes))


def _fetch_offer(access: SshAccess, route: tuple[Hop, ...]) -> Offer:
    hop = route[-1]
    keys = []
    try:
        for kind in _KINDS:
            try:
                key = offered_key(route, access.trust, access.secrets, access.limits, upto=hop, kind=kind)
            except NoCommonKeyType:
                continue
            keys.append((key, access.known.judge(hop.key_name, key)))
    except MachineError as error:
        return Offer(hop=hop, keys=(), problem=error)
    return Offer(hop=hop, keys=tuple(keys))


def stages(routes: Sequence[tuple[Hop, ...]]) -> list[list[tuple[Hop, ...]]]:
    """The ways to every server on the routes, each once, those that are reached directly first.

    A jump host must be trusted before what lies behind it can be asked.
    """
    found: dict[tuple[int, str, str], tuple[Hop, ...]] = {}
    for route in routes:
        for depth, hop in enumerate(route):
            found.setdefault((depth, hop.key_name, hop.host), route[: depth + 1])
    deepest = max((depth for depth, _, _ in found), default=-1)
    return [[way for (at, _, _), way in found.items() if at == depth] for depth in range(deepest + 1)]
