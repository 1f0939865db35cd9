"""A workspace on this machine whose runs go to the hosts of a lab, and such a run while it is hurt.

    stage.submit(source, nodes=2) -> NetworkRun -- faults --> run.release() -> run.wait_end() -> checked(run)

Every script has `say` and `may_end`: what it says goes to standard output and into a hash of its own, which it leaves
in outputs/ at its end. So each log is compared with what the process knows that it wrote.
"""

from __future__ import annotations

import dataclasses
import os
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.nodes import contact
from runner.spec.compute import target_from_record
from runner.spec.request import EnvironmentSpec, RunRequest
from sidecar.contract.layout import NodeLayout, WorkspaceLayout
from tests.faults.lab import Lab, Victim, pause, wait_until
from tests.lab.host import Host
from tests.lab.laboratory import Laboratory

# Where user lab's files for runs are on every host.
NODE_WORK = "/home/lab/.runner-node"
_GO = "/home/lab/go"
_SAID = """
import atexit, hashlib, json, os
_hash, _size, _name = hashlib.sha256(), 0, os.environ["RUNNER_PROCESS_NAME"]
def say(piece):
    global _size
    view = memoryview(piece)
    while view:
        view = view[os.write(1, view):]
    _hash.update(piece)
    _size += len(piece)
def tell():
    with open("outputs/said-%s.json" % _name, "w") as stream:
        json.dump({"sha256": _hash.hexdigest(), "size": _size}, stream)
atexit.register(tell)
def may_end():
    return os.path.exists("/home/lab/go")
"""
# Lines of different lengths, until the test lets it end.
UNTIL_RELEASED = """
import time
number = 0
while not may_end():
    say((b"%d " % number) * (number % 60) + b"\\n")
    number += 1
    time.sleep(0.004)
say(b"the end, without a newline")
"""


class NetworkRun(Victim):
    """One run on hosts of the lab. Processes of hosts are seen from this machine, so `left` and `pids` find them."""

    def __init__(self, lab: Laboratory, workspace: WorkspaceLayout, run_id: str) -> None:
        super().__init__(workspace, run_id)
        self.lab = lab

    def host(self, number: int = 0) -> Host:
        """The host of the `number`-th node."""
        return self.lab[self.record.nodes[number]]

    @property
    def hosts(self) -> list[Host]:
        """The hosts of all nodes."""
        return [self.lab[node_id] for node_id in self.record.nodes]

    def node(self, number: int = 0) -> NodeLayout:
        """The folder of the `number`-th node, as this machine sees it."""
        node_id = self.record.nodes[number]
        return NodeLayout(self.lab[node_id].path(f"{NODE_WORK}/nodes/{node_id}/{self.run_id}"))

    def kill(self, kind: str, number: int = 0) -> bool:
        """`kill -9` of the controller, or on the `number`-th node of its agent, supervisor or sshd sessions."""
        if kind == "controller":
            killed = self.controller()
            is_hit = super().kill(kind)
            # Who resumes before it is gone finds that there is nothing to do.
            wait_until(lambda: killed is None or self.controller() != killed, what="the controller's end")
            return is_hit
        if kind == "sshd":
            return self.lab.faults.kill_sshd_sessions(self.host(number)) > 0
        return self.lab.faults.kill(self.host(number), kind, self.run_id) > 0

    def kill_often(self, kinds: tuple[str, ...], count: int, chance: random.Random, *, most_s: float = 0.3) -> int:
        """So many kills that hit, each of a random kind on a random node after a random pause; resumes on the way."""
        done = 0
        deadline = time.monotonic() + 20 + 3 * count
        while done < count:
            assert time.monotonic() < deadline, f"only {done} of {count} kills hit"
            pause(chance.uniform(0, most_s))
            done += self.kill(chance.choice(kinds), chance.randrange(len(self.record.nodes)))
            if "controller" in kinds:
                self.resume()
        return done

    def lost_contact(self, number: int = 0) -> contact.LostContact | None:
        """What is told of a node that is out of reach; None while it answers."""
        return contact.read_lost(self.run.node_contact(self.record.nodes[number]))

    def wait_lost(self, number: int = 0, *, limit_s: float = 30.0) -> contact.LostContact:
        """Waits until the controller says that the node is out of reach."""
        wait_until(lambda: self.lost_contact(number) is not None, limit_s=limit_s, what="a lost contact")
        found = self.lost_contact(number)
        assert found is not None
        return found

    def wait_found(self, number: int = 0, *, limit_s: float = 40.0) -> None:
        """Waits until the node answers again."""
        wait_until(lambda: self.lost_contact(number) is None, limit_s=limit_s, what="the node's answer")

    def grown(self, index: int | None = None, *, by: int = 1, limit_s: float = 30.0) -> None:
        """Waits until a log has grown here by so many bytes."""
        log = self.run.driver_log(index)
        size = log.stat().st_size if log.exists() else 0
        wait_until(lambda: log.exists() and log.stat().st_size >= size + by, limit_s=limit_s, what=f"more of {log}")

    def release(self) -> None:
        """Lets the scripts end that wait for it."""
        for host in self.hosts:
            if host.is_on:
                host.path(_GO).touch()


class Stage(Lab):
    """A workspace under `folder` whose runs go to the hosts of `lab`. Close it."""

    def __init__(self, folder: Path, lab: Laboratory) -> None:
        super().__init__(folder)
        self.lab = lab

    def request(
        self,
        source: str,
        *,
        nodes: int = 1,
        interpreter: Path | None = None,
        files: Mapping[str, bytes] | None = None,
        **options: Any,
    ) -> RunRequest:
        """A script on the first `nodes` hosts of the lab, at least one process on each; `files` lie beside it."""
        options.setdefault("processes", nodes)
        made = super().request(f"from said import say, may_end\n{source}", nodes=nodes, **options)
        Path(made.source_directory, "said.py").write_text(_SAID)
        for name, content in (files or {}).items():
            Path(made.source_directory, name).write_bytes(content)
        target = target_from_record({**self._target_keys(), "name": "lab"})
        environment = made.environment
        if interpreter is not None:
            environment = EnvironmentSpec(user_managed_dependencies=True, interpreter_path=str(interpreter))
        return dataclasses.replace(made, compute_target=target, environment=environment)

    def _target_keys(self) -> dict[str, Any]:
        keys = self.lab.submitter.compute()
        nodes = [{**node, "ssh_port": None} for node in keys["nodes"]]
        return {**keys, "nodes": nodes}

    def submit(self, source: str, **options: Any) -> NetworkRun:
        """A run of `source` that a controller has taken over."""
        found = super().submit(source, **options)
        assert isinstance(found, NetworkRun)
        return found

    def victim(self, run_id: str) -> NetworkRun:
        """The run `run_id` of this workspace."""
        found = NetworkRun(self.lab, self.workspace, run_id)
        self.victims.append(found)
        return found

    def script(self, name: str, text: str) -> Path:
        """A file for `options` that want one."""
        path = self.folder / name
        path.write_text(text)
        os.chmod(path, 0o644)
        return path
