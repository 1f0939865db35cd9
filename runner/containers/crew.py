"""The containers of one run: made, watched, and taken away again; whoever comes after a crash finds them by labels."""

from __future__ import annotations

import io
import os
import tarfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.containers import description, labels
from runner.containers.description import Dwelling
from runner.containers.engine import explained
from runner.containers.labels import Role
from runner.errors import MachineError
from sidecar.contract import container_life
from sidecar.contract.layout import NodeLayout
from sidecar.contract.one_file_tar import one_file_tar
from sidecar.contract.orders import NodePlan

if TYPE_CHECKING:
    from docker import APIClient

# A cold disk, or an ENTRYPOINT that prepares something.
_BIRTH_LIMIT_S = 120.0
_LOOK_S = 0.01
_STATE_EVERY_S = 0.5
# The supervisor ends what runs in it; a container that is left after that is killed at once.
_STOP_S = 0
_LAST_LINES = 5
# What is started for every node, in this order.
_DWELT = (Role.JOB, Role.SIDECAR)


class Berth:
    """One node's place: its plan, its folder, its containers."""

    def __init__(self, plan: NodePlan, node: NodeLayout) -> None:
        self.plan = plan
        self.node = node

    def was_born(self, role: Role) -> bool:
        """Whether the container of that role has ever come up."""
        return container_life.was_born(self.node, role)


class Crew:
    """The containers of a run, on one engine."""

    def __init__(self, client: APIClient, address: str, workspace: str, berths: Sequence[Berth]) -> None:
        self.client = client
        self.address = address
        self.berths = tuple(berths)
        # What the engine left out of what it was asked for (a memory limit, under a rootless one), in its own words.
        self.warnings: dict[str, None] = {}
        self._workspace = workspace
        self._run_id = berths[0].plan.run_id

    def labels(self, berth: Berth | None = None, role: Role | None = None) -> dict[str, str]:
        """What something of this run is labelled with."""
        return labels.labels(self._workspace, self._run_id, berth.plan.node_id if berth else None, role)

    def make_network(self) -> str:
        """The network of the run's nodes; made unless it is there."""
        name = labels.network_name(self._run_id)
        with explained(f"the network {name} cannot be made", self.address):
            found = [network for network in self.client.networks(names=[name]) if network["Name"] == name]
            if not found:
                self.client.create_network(name, driver="bridge", labels=self.labels())
            elif not labels.is_ours(found[0].get("Labels"), self.labels()):
                raise MachineError(f"there is a network {name} that is not the runner's")
        return name

    def start(self, dwelling: Dwelling, *, is_canceled: Callable[[], bool]) -> None:
        """Makes and starts every container that never lived, and waits until all are up. Raises MachineError."""
        tasks = [(berth, role) for berth in self.berths for role in _DWELT if not berth.was_born(role)]
        if not tasks:
            return
        for berth in self.berths:
            berth.node.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with ThreadPoolExecutor(min(len(tasks), 16)) as pool:
            list(pool.map(lambda task: self._start(task[0], task[1], dwelling), tasks))
        self._wait_born(tasks, dwelling, is_canceled)

    def _start(self, berth: Berth, role: Role, dwelling: Dwelling) -> None:
        describe = description.job_container if role is Role.JOB else description.sidecar_container
        described = describe(berth.plan, berth.node, dwelling)
        name = labels.container_name(self._run_id, berth.plan.node_id, role)
        with explained(f"the container {name} cannot be started", self.address):
            container = self._create(name, described, self.labels(berth, role))
            self._introduce_user(container, dwelling.user, berth.node.home)
            self.client.start(container)

    def _create(self, name: str, described: Mapping[str, Any], ours: Mapping[str, str]) -> str:
        """Its id. One of that name that an earlier controller had begun with is made anew: it never came up."""
        from docker.errors import APIError

        try:
            return self._create_once(name, described)
        except APIError as error:
            # Podman calls it an error of its own.
            if error.status_code != 409 and "already in use" not in str(error.explanation):
                raise
        there = self.client.inspect_container(name)
        if not labels.is_ours(there["Config"]["Labels"], ours):
            raise MachineError(
                f"the container name {name} is taken by a container that is not the runner's",
                hint=f"docker rm {name}",
            )
        self.client.remove_container(there["Id"], force=True, v=True)
        return self._create_once(name, described)

    def _create_once(self, name: str, described: Mapping[str, Any]) -> str:
        made = self.client.create_container_from_config(described, name)  # type: ignore[no-untyped-call]  # its stubs
        self.warnings.update(dict.fromkeys(made.get("Warnings") or ()))
        return str(made["Id"])

    def _introduce_user(self, container: str, user: str, home: Path) -> None:
        """Adds the user and the group to the container's own lists, where its image does not know them."""
        uid, gid = user.split(":")
        if uid == "0":
            return
        lines = {
            "passwd": (uid, description.passwd_line(_login_name(), user, home)),
            "group": (gid, f"u{gid}:x:{gid}:\n"),
        }
        for name, (number, line) in lines.items():
            text = self._read(container, f"/etc/{name}")
            if text is None or description.has_user(text, number):
                continue
            self.client.put_archive(container, "/etc", one_file_tar(name, (text.rstrip("\n") + "\n" + line).encode()))

    def _read(self, container: str, path: str) -> str | None:
        from docker.errors import NotFound

        try:
            stream, _ = self.client.get_archive(container, path)
        except NotFound:
            return None
        with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as archive:
            member = archive.extractfile(archive.getmembers()[0])
            return None if member is None else member.read().decode("utf-8", "surrogateescape")

    def _wait_born(
        self, tasks: Sequence[tuple[Berth, Role]], dwelling: Dwelling, is_canceled: Callable[[], bool]
    ) -> None:
        deadline = time.monotonic() + _BIRTH_LIMIT_S
        next_state = time.monotonic() + _STATE_EVERY_S
        while not is_canceled():
            unborn = [task for task in tasks if not task[0].was_born(task[1])]
            if not unborn:
                return
            if time.monotonic() >= next_state:
                next_state = time.monotonic() + _STATE_EVERY_S
                for berth, role in unborn:
                    self._check_birth(berth, role, dwelling, is_late=time.monotonic() >= deadline)
            time.sleep(_LOOK_S)  # The condition is above; this only keeps the core free between two looks.

    def _check_birth(self, berth: Berth, role: Role, dwelling: Dwelling, *, is_late: bool) -> None:
        """Raises MachineError for a container that ended, or is silent, before it ever came up."""
        name = labels.container_name(self._run_id, berth.plan.node_id, role)
        with explained(f"the container {name} cannot be asked", self.address):
            state = self.client.inspect_container(name)["State"]
        if berth.was_born(role) or (state["Running"] and not is_late):
            return
        if state["ExitCode"] == description.NO_PYTHON and not state["Running"]:
            raise MachineError(
                f"the image {dwelling.image.name} has no Python 3.9 or newer, which the runner's sidecar needs",
                hint="add one to the image (apt-get install python3), or choose another base_image",
            )
        words = " | ".join(self._last_words(name, berth))
        how = "did not come up" if state["Running"] else f"ended at once with exit code {state['ExitCode']}"
        hint = f"docker logs {name}"
        if dwelling.image.entrypoint and role is Role.JOB:
            how += f"; the image's ENTRYPOINT {list(dwelling.image.entrypoint)} must run its arguments"
            hint = 'docker_runtime_config: {arguments: [--entrypoint, ""]} leaves the ENTRYPOINT out'
        raise MachineError(f"the container {name} {how}{': ' + words if words else ''}", hint=hint)

    def _last_words(self, name: str, berth: Berth) -> list[str]:
        try:
            told = self.client.logs(name, tail=_LAST_LINES) + b"\n" + _tail(berth.node.container_words)
        except Exception:  # Best effort: only the sentence about the container gets shorter.
            told = _tail(berth.node.container_words)
        lines = [line.strip() for line in told.decode("utf-8", "replace").splitlines() if line.strip()]
        return lines[-_LAST_LINES:]

    def unpause(self) -> None:
        """Lets a frozen container go on, so that what runs in it can be stopped."""
        for found in self.containers():
            if found["State"] == "paused":
                with explained("a paused container cannot go on", self.address):
                    self.client.unpause(found["Id"])

    def containers(self) -> list[dict[str, Any]]:
        """Every container of the run, dead ones too. Raises MachineError where the engine does not answer."""
        with explained("the run's containers cannot be listed", self.address):
            filters = {"label": [f"{name}={value}" for name, value in self.labels().items()]}
            return list(self.client.containers(all=True, filters=filters))

    def clear(self) -> int:
        """Removes every container and network of the run; returns how many are left. Raises MachineError."""
        from docker.errors import APIError, NotFound

        for found in self.containers():
            with explained(f"the container {found['Names'][0].lstrip('/')} cannot be removed", self.address):
                try:
                    self.client.remove_container(found["Id"], force=True, v=True)
                except NotFound:
                    continue
                except APIError as error:
                    if error.status_code != 409:  # 409: somebody else is removing it at this moment.
                        raise
        name = labels.network_name(self._run_id)
        with explained(f"the network {name} cannot be removed", self.address):
            for network in self.client.networks(names=[name]):
                if network["Name"] == name and labels.is_ours(network.get("Labels"), self.labels()):
                    self.client.remove_network(network["Id"])
        return len(self.containers())


def _tail(path: Path) -> bytes:
    try:
        return path.read_bytes()[-2000:]
    except OSError:
        return b""


def _login_name() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"u{os.getuid()}"
