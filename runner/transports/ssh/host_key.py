"""Decides whether a server may be talked to, from the key it offers; says exactly what to do where it may not."""

from __future__ import annotations

import shlex

from runner.errors import MachineError
from runner.transports.ssh.addresses import Hop
from runner.transports.ssh.known_hosts import HostKey, KnownHosts, Standing, Verdict


def wanted_algorithms(known: KnownHosts, hop: Hop) -> tuple[str, ...] | None:
    """What to ask the server for: only types known of it, so that another type is no change. None: anything."""
    from runner.transports.ssh.wire import algorithms_of, is_supported

    kinds = [kind for kind in known.kinds(hop.key_name) if is_supported(kind)]
    return tuple(name for kind in kinds for name in algorithms_of(kind)) or None


def check_host_key(key: HostKey, hop: Hop, known: KnownHosts, *, fix: str, is_accepting_new: bool) -> None:
    """Returns where the key is known, or new and to be accepted, which writes it down. Raises MachineError, final."""
    verdict = known.judge(hop.key_name, key)
    if verdict.standing is Standing.KNOWN:
        return
    if verdict.standing is Standing.NEW and is_accepting_new:
        try:
            known.remember(hop.key_name, key)
        except OSError as error:
            raise MachineError(
                f"{hop.subject}: its host key cannot be written to {known.own}: {error}", is_final=True
            ) from error
        return
    raise _refusal(verdict, key, hop, known, fix)


def _refusal(verdict: Verdict, key: HostKey, hop: Hop, known: KnownHosts, fix: str) -> MachineError:
    line = verdict.line
    if line is not None and verdict.standing is Standing.REVOKED:
        return MachineError(
            f"{hop.subject}: {hop.key_name} offers the host key {key}, which is revoked ({line.place})",
            hint="give the machine a new host key; a revoked one may be in other hands",
            is_final=True,
        )
    if line is not None and verdict.standing is Standing.CHANGED:
        remove = f"ssh-keygen -f {shlex.quote(str(line.path))} -R {shlex.quote(hop.key_name)}"
        return MachineError(
            f"{hop.subject}: the host key of {hop.key_name} changed: known is {line.key} ({line.place}), "
            f"offered is {key}; either the machine was set up anew, or somebody else answers in its place",
            hint=f"if it was set up anew: {remove}; then: {fix}",
            is_final=True,
        )
    text = f"{hop.subject}: the host key of {hop.key_name} is not known: {key}"
    if known.has_authority(hop.key_name):
        text += "; a certificate authority is to vouch for it, which the runner cannot check"
    return MachineError(text, hint=f"compare the fingerprint, then: {fix}", is_final=True)
