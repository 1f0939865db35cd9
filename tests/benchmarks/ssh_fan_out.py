"""32 hosts at once: connect, see that the sidecar is there, start it; against libraries that run `true` on them."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sidecar.contract.layout import RunLayout
from sidecar.contract.time_index import RECORD
from tests.benchmarks.hosts import Hosts, event_times_s, standing
from tests.benchmarks.peers import Peer
from tests.benchmarks.report import Row, Section
from tests.benchmarks.stage import Stage
from tests.benchmarks.timing import CommandFailedError, ratios, take_turns

NAME = "ssh_fan_out"

_LIMIT_RATIO = 2.0
_HOSTS = 32
_SMALL_HOSTS = 4
_LIMIT_S = 60.0
_SECURED = b"Agent answers"

# Each prints how long it took without its interpreter's start and its imports, as our phase is without ours.
_PARALLEL_SSH = """
import json
import sys
import time

from pssh.clients import ParallelSSHClient

asked = json.load(open(sys.argv[1]))
began = time.monotonic()
client = ParallelSSHClient(asked["addresses"], user="lab", pkey=asked["key"], pool_size=len(asked["addresses"]))
outputs = client.run_command("true")
client.join(outputs)
print(time.monotonic() - began)
sys.exit(any(output.exit_code for output in outputs))
"""
_CLUSTER_SHELL = """
import json
import sys
import time

from ClusterShell.Task import task_self

asked = json.load(open(sys.argv[1]))
began = time.monotonic()
task = task_self()
task.set_info("fanout", len(asked["names"]))
task.set_info("ssh_options", "-F " + asked["config"])
task.run("true", nodes=",".join(asked["names"]))
print(time.monotonic() - began)
sys.exit(task.max_retcode() != 0)
"""
_PEERS = {"parallel-ssh": _PARALLEL_SSH, "ClusterShell": _CLUSTER_SHELL}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Start:
    """Seconds of one try; `shown` are further stretches by what they are."""

    judged_s: float
    shown: dict[str, float]


def measure(stage: Stage) -> Section:
    """One process a host, which does nothing."""
    count = stage.size(_HOSTS, small=_SMALL_HOSTS)
    section = Section(name=NAME, title=f"connect, ship (warm) and start on {count} hosts; peers run `true` on them")
    peer = stage.peer("fan_out", section)
    with standing(stage, count) as hosts:
        actions: dict[str, Callable[[], _Start]] = {}
        if not peer.problem:
            asked = _asked(hosts)
            scripts = {name: stage.write("fan-out", f"run-{name}.py", script) for name, script in _PEERS.items()}
            actions = {name: _peer_action(hosts, peer, script, asked) for name, script in scripts.items()}
        samples = take_turns({**actions, "runner": lambda: _run(hosts, count)}, runs=stage.count(7))
    for label, found in samples.items():
        section.add(
            Row(what=f"{label}: {_JUDGED.get(label, 'connect to done')}", values=[one.judged_s for one in found])
        )
        for what in found[0].shown:
            section.add(Row(what=f"{label}: {what}", values=[one.shown[what] for one in found]))
    _add_ratio(section, {label: [one.judged_s for one in found] for label, found in samples.items()})
    section.notes += [
        "runner: the phase `secure`, from its first line in any 55_ log until the last node's agent has taken the plan:"
        " connected, host key checked, logged in, sidecar found, agent started; the supervisor starts behind that;"
        " times are those of the time indexes of the 55_ logs, and of the nodes' events",
        "peers: without the start of their interpreter and their imports; parallel-ssh checks no host key;"
        " ClusterShell runs as many ssh at once as there are hosts (OpenSSH as it comes)",
        "in a lab all hosts share this machine's cores: what a host does for itself counts once for each of them",
    ]
    return section


_JUDGED = {"runner": "first line of secure to last plan accepted"}


def _add_ratio(section: Section, found: dict[str, Sequence[float]]) -> None:
    ours = found.pop("runner")
    if found:
        faster = min(found, key=lambda label: sorted(found[label])[len(found[label]) // 2])
        what = f"runner / {faster} (the faster), pair by pair"
        section.add(Row(what=what, values=ratios(ours, found[faster]), unit="x", limit=_LIMIT_RATIO))
    else:
        section.notes.append("SKIPPED: the limit needs one of the peers")


def _asked(hosts: Hosts) -> Path:
    submitter = hosts.lab.submitter
    asked = {
        "addresses": [host.address for host in hosts.lab],
        "names": [host.name for host in hosts.lab],
        "key": str(submitter.identity_file),
        "config": str(submitter.ssh_config),
    }
    return hosts.stage.write("fan-out", "asked.json", json.dumps(asked))


def _peer_action(hosts: Hosts, peer: Peer, script: Path, asked: Path) -> Callable[[], _Start]:
    def act() -> _Start:
        began = time.monotonic()
        done = subprocess.run(
            [peer.python, str(script), str(asked)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=hosts.environ,
            timeout=_LIMIT_S,
        )
        whole_s = time.monotonic() - began
        if done.returncode != 0:
            raise CommandFailedError(f"{script.stem}: exit code {done.returncode}: {done.stderr[-300:]}")
        return _Start(judged_s=float(done.stdout), shown={"whole command": whole_s})

    return act


def _run(hosts: Hosts, count: int) -> _Start:
    shape = {"type": "PyTorch", "process_count": count, "node_count": count}
    config = hosts.config("fan-out-ssh", "pass\n", distributed_job_config=shape)
    submitted_s = time.time()
    run = hosts.submit(config)
    hosts.wait_end(run)
    names = [host.name for host in hosts.lab]
    began_s = min(_secured(run, name)[0] for name in names)
    accepted_s = max(_secured(run, name)[1] for name in names)
    up, started = (event_times_s(run, names, event) for event in ("supervisor", "started"))
    if [len(up), len(started)] != [count, count]:
        raise CommandFailedError(f"{run.root.name}: {len(up)} supervisors, {len(started)} processes, not {count}")
    shutil.rmtree(run.root)
    return _Start(
        judged_s=accepted_s - began_s,
        shown={
            "first line of secure to last supervisor up": max(up) - began_s,
            "submit to first line of secure": began_s - submitted_s,
            "submit to last process started": max(started) - submitted_s,
        },
    )


def _secured(run: RunLayout, node_id: str) -> tuple[float, float]:
    """When the phase began on a node, and when the node had answered and taken its plan."""
    log = run.execution_log(node_id)
    content = log.read_bytes()
    end = content.index(b"\n", content.index(_SECURED))
    records = list(RECORD.iter_unpack(run.time_index(log.name).read_bytes()))
    return records[0][1] / 1e9, next(at_ns for offset, at_ns in records if offset > end) / 1e9
