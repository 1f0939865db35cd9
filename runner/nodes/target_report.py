"""Judges what the nodes of a target said of themselves and of each other: findings a node, in the order of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from runner.errors import MachineError, RunnerError
from runner.nodes.finding import Finding, Level
from runner.transports.ssh.examining import Examined

# Where times of several nodes are compared, more than this turns causes into consequences; also TLS and MPI dislike it.
_CLOCK_WARN_NS = 1_000_000_000
# The steps to a node; when one fails, those before it went well.
_STEPS = ("reached", "host key", "login", "python", "disk")


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """All findings about one node."""

    node_id: str
    findings: tuple[Finding, ...]

    @property
    def is_usable(self) -> bool:
        """Whether a run could start there."""
        return all(finding.level is not Level.FAIL for finding in self.findings)

    def find(self, name: str) -> Finding | None:
        """The finding of that name; None where nobody could ask."""
        return next((finding for finding in self.findings if finding.name == name), None)


def judge(examined: Sequence[Examined]) -> list[NodeReport]:
    """One report a node, in their order."""
    mpis = {found.node.name: _mpi_of(found) for found in examined if found.report is not None}
    return [NodeReport(node_id=found.node.name, findings=tuple(_findings(found, examined, mpis))) for found in examined]


def _findings(found: Examined, examined: Sequence[Examined], mpis: Mapping[str, str | None]) -> Iterator[Finding]:
    problem, landing = found.problem, found.landing
    if landing is None:
        assert problem is not None, "a node that was not reached says why"
        yield from _way(problem)
        return
    address = landing.peer_address
    ping = "" if found.round_trip_ns is None else f", {found.round_trip_ns / 1e6:.1f} ms there and back"
    yield Finding(name="reached", level=Level.OK, brief="yes", detail=f"at {address}{ping}")
    yield Finding(name="host key", level=Level.OK, brief="known", detail="known")
    if problem is not None:
        yield _failed("answer", problem)
    if found.clock_offset_ns is not None and found.round_trip_ns is not None:
        yield _clock(found.clock_offset_ns, found.round_trip_ns)
    for record in (found.report or {}).get("findings", ()):
        finding = Finding.from_record(record)
        yield _compared(finding, found.node.name, mpis) if finding.name == "MPI" else finding
    yield _extras(landing.extras, landing.notes)
    if found.report is not None and problem is None:
        yield _meeting(found, examined)


def _way(problem: RunnerError) -> Iterator[Finding]:
    """The steps that went well, then the one that did not."""
    # Who has logged in and cannot say more has no shell that starts a Python.
    failed = (problem.step if isinstance(problem, MachineError) else None) or "python"
    for step in _STEPS:
        if step == failed:
            break
        yield Finding(name=step, level=Level.OK, brief="yes", detail="yes")
    yield _failed(failed, problem)


def _failed(name: str, problem: RunnerError) -> Finding:
    return Finding(name=name, level=Level.FAIL, brief="no", detail=problem.message, hint=problem.hint)


def _clock(offset_ns: int, round_trip_ns: int) -> Finding:
    text = f"{offset_ns / 1e6:+.1f} ms"
    detail = f"{text} against this machine, give or take {round_trip_ns / 2e6:.1f} ms"
    if abs(offset_ns) - round_trip_ns // 2 <= _CLOCK_WARN_NS:
        return Finding(name="clock", level=Level.OK, brief=text, detail=detail)
    hint = "set the clock there (timedatectl set-ntp true); until then times of its files mislead"
    return Finding(name="clock", level=Level.WARN, brief=text, detail=detail, hint=hint)


def _mpi_of(found: Examined) -> str | None:
    facts = {record["name"]: record["facts"] for record in (found.report or {}).get("findings", ())}
    mpi = facts.get("MPI", {}).get("mpi")
    return None if mpi is None else str(mpi)


def _compared(finding: Finding, node_id: str, mpis: Mapping[str, str | None]) -> Finding:
    """A node whose MPI is another than that of most is warned of; where there is no MPI anywhere, all are."""
    usual, count = Counter(mpis.values()).most_common(1)[0]
    own = mpis[node_id]
    if own == usual or len(mpis) == 1:
        return finding
    others = "the other has" if len(mpis) == 2 else f"{count} of {len(mpis)} nodes have"
    detail = f"{finding.detail}; {others} {usual or 'none'}"
    hint = "one MPI job needs the same MPI everywhere: install it, or let the environment bring it (pip: mpich)"
    return Finding(
        name=finding.name, level=Level.WARN, brief=finding.brief, detail=detail, hint=hint, facts=finding.facts
    )


def _extras(extras: Sequence[str], notes: Sequence[str]) -> Finding:
    brief = ", ".join(extras) or "none"
    if not notes:
        return Finding(name="extras", level=Level.OK, brief=brief, detail=f"{brief} shipped with the sidecar")
    hint = "put fitting wheels into the workspace's folder wheels/, or do without"
    return Finding(name="extras", level=Level.WARN, brief=brief, detail="; ".join(notes), hint=hint)


def _meeting(found: Examined, examined: Sequence[Examined]) -> Finding:
    """At which address the other nodes reach this one; a pair that cannot is a failure of the one that tries."""
    own = found.node.name
    others = [other for other in examined if other.node.name != own and other.report is not None]
    addresses = list((found.report or {})["addresses"])
    if not others:
        text = ", ".join(addresses) or "none but the loopback"
        return Finding(name="address", level=Level.OK, brief=addresses[0] if addresses else "none", detail=text)
    if found.met is None:
        text = f"{own}: it did not say in time which of the others it reaches"
        return Finding(name="address", level=Level.FAIL, brief="unknown", detail=text)
    hint = "the nodes of one job must be able to open TCP connections to each other; is there a firewall?"
    unreached = [
        f"{own} cannot reach {name} ({_tried(found.met['failed'].get(name, {}))})"
        for name, reached in found.met["reached"].items()
        if not reached
    ]
    if unreached:
        return Finding(name="address", level=Level.FAIL, brief="cut off", detail="; ".join(unreached), hint=hint)
    common = [
        ip
        for ip in addresses
        if all(ip in other.met["reached"].get(own, ()) for other in others if other.met is not None)
    ]
    if common:
        passed = [ip for ip in addresses if ip not in common]
        beside = f"; not at {', '.join(passed)}" if passed else ""
        text = f"reached by all others at {common[0]}{beside}"
        return Finding(name="address", level=Level.OK, brief=common[0], detail=text)
    blind = [other.node.name for other in others if other.met is not None and not other.met["reached"].get(own)]
    if blind:
        text = f"{own} is not reached by {', '.join(blind)}"
    else:
        text = f"{own} has no address at which every other node reaches it ({', '.join(addresses)})"
    return Finding(name="address", level=Level.FAIL, brief="cut off", detail=text, hint=hint)


def _tried(failed: Mapping[str, str]) -> str:
    return "; ".join(f"{ip}: {why}" for ip, why in failed.items()) or "it has no address but the loopback"
