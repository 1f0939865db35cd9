"""Makes a node's containers as the controller describes them, sees them come up, and removes them again."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Optional

from sidecar.contract import container_labels as labels
from sidecar.contract import container_life
from sidecar.contract.container_labels import Role
from sidecar.contract.layout import NodeLayout
from sidecar.contract.one_file_tar import one_file_tar
from sidecar.contract.orders import NodePlan
from sidecar.engine import Engine, EngineProblem

# A cold disk, or an ENTRYPOINT that prepares something.
_BIRTH_LIMIT_S = 120.0
_LOOK_S = 0.01
_STATE_EVERY_S = 0.5
_LAST_LINES = 5
# An engine that restarts takes seconds; what it cannot remove by then the next run here sweeps.
_CLEAR_LIMIT_S = 30.0
_CLEAR_PAUSE_S = 0.5


class NotHoused(Exception):
    """The containers did not come up; `hint` says what to try."""

    def __init__(self, message: str, hint: Optional[str] = None) -> None:
        super().__init__(message)
        self.hint = hint


class House:
    """The containers of one run on this node."""

    def __init__(self, engine: Engine, layout: NodeLayout, plan: NodePlan, work: Path) -> None:
        # What the engine left out of what it was asked for, in its own words.
        self.warnings: Dict[str, None] = {}
        self._engine = engine
        self._layout = layout
        self._plan = plan
        self._work = work

    def build(self, order: Mapping[str, Any], is_off: Callable[[], bool]) -> None:
        """Makes and starts every container that never lived, and waits until all are up. Raises NotHoused."""
        stores = [Path(self._plan.snapshot_store), *([self._plan.input_store.root] if self._plan.has_inputs else [])]
        for path in (self._layout.home, Path(self._plan.run_root), *stores):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        wanted = [one for one in order["containers"] if not container_life.was_born(self._layout, one["role"])]
        with ThreadPoolExecutor(len(order["containers"])) as pool:
            list(pool.map(lambda one: self._start(one, order["user_lines"]), wanted))
        self._wait_born(wanted, order, is_off)

    def _start(self, one: Mapping[str, Any], user_lines: Mapping[str, Any]) -> None:
        try:
            self._create_and_start(one, user_lines)
        except EngineProblem as problem:
            raise NotHoused(f"the container {one['name']} cannot be started: {problem}", problem.hint) from problem

    def _create_and_start(self, one: Mapping[str, Any], user_lines: Mapping[str, Any]) -> None:
        container = self._create(one["name"], one["described"])
        for name, (number, line) in user_lines.items():
            text = self._read(container, f"/etc/{name}")
            if text is None or any(known.split(":")[2:3] == [number] for known in text.splitlines()):
                continue
            changed = (text.rstrip("\n") + "\n" + line).encode("utf-8", "surrogateescape")
            self._engine.ask(
                "PUT", f"/containers/{container}/archive", query={"path": "/etc"}, content=one_file_tar(name, changed)
            )
        self._engine.ask("POST", f"/containers/{container}/start")

    def _create(self, name: str, described: Mapping[str, Any]) -> str:
        """Its id. One of that name that an earlier steward had begun with is made anew: it never came up."""
        try:
            return self._create_once(name, described)
        except EngineProblem as problem:
            if problem.status != 409:
                raise
        there = self._engine.find(f"/containers/{name}/json")
        if there is not None:
            ours = described["Labels"]
            if any((there["Config"]["Labels"] or {}).get(key) != ours[key] for key in (labels.RUN, labels.WORKSPACE)):
                raise NotHoused(
                    f"the container name {name} is taken by a container that is not the runner's", f"docker rm {name}"
                )
            self._engine.remove_container(there["Id"])
        return self._create_once(name, described)

    def _create_once(self, name: str, described: Mapping[str, Any]) -> str:
        made = self._engine.json("POST", "/containers/create", query={"name": name}, body=described)
        self.warnings.update(dict.fromkeys(map(str, made.get("Warnings") or ())))
        return str(made["Id"])

    def _read(self, container: str, path: str) -> Optional[str]:
        try:
            content = self._engine.ask("GET", f"/containers/{container}/archive", query={"path": path})
        except EngineProblem as problem:
            if problem.status == 404:
                return None
            raise
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            member = archive.extractfile(archive.getmembers()[0])
            return None if member is None else member.read().decode("utf-8", "surrogateescape")

    def _wait_born(self, wanted: List[Any], order: Mapping[str, Any], is_off: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _BIRTH_LIMIT_S
        next_state = time.monotonic() + _STATE_EVERY_S
        while not is_off():
            unborn = [one for one in wanted if not container_life.was_born(self._layout, one["role"])]
            if not unborn:
                return
            if time.monotonic() >= next_state:
                next_state = time.monotonic() + _STATE_EVERY_S
                for one in unborn:
                    self._check_birth(one, order, is_late=time.monotonic() >= deadline)
            time.sleep(_LOOK_S)  # The condition is above; this only keeps the core free between two looks.

    def _check_birth(self, one: Mapping[str, Any], order: Mapping[str, Any], *, is_late: bool) -> None:
        name, image = one["name"], order["image"]
        there = self._engine.find(f"/containers/{name}/json")
        if there is None:
            raise NotHoused(f"the container {name} was removed before it came up")
        state = there["State"]
        if container_life.was_born(self._layout, one["role"]) or (state["Running"] and not is_late):
            return
        if state["ExitCode"] == order["no_python"] and not state["Running"]:
            raise NotHoused(
                f"the image {image['name']} has no Python 3.9 or newer, which the runner's sidecar needs",
                "add one to the image (apt-get install python3), or choose another base_image",
            )
        words = " | ".join(self._last_words())
        how = "did not come up" if state["Running"] else f"ended at once with exit code {state['ExitCode']}"
        hint = f"docker logs {name}"
        if image["entrypoint"] and one["role"] == Role.JOB:
            how += f"; the image's ENTRYPOINT {list(image['entrypoint'])} must run its arguments"
            hint = 'docker_runtime_config: {arguments: [--entrypoint, ""]} leaves the ENTRYPOINT out'
        raise NotHoused(f"the container {name} {how}{': ' + words if words else ''}", hint)

    def _last_words(self) -> List[str]:
        with contextlib.suppress(OSError):
            told = self._layout.container_words.read_bytes()[-2000:].decode("utf-8", "replace")
            return [line.strip() for line in told.splitlines() if line.strip()][-_LAST_LINES:]
        return []

    # What becomes of them

    def found(self) -> List[Dict[str, Any]]:
        """Every container of the run on this node, dead ones too."""
        wanted = {labels.RUN: self._plan.run_id, labels.WORKSPACE: str(self._work), labels.NODE: self._plan.node_id}
        return self._engine.containers(wanted)

    def inspect(self, role: str) -> Optional[Dict[str, Any]]:
        """What the engine knows of the container of that role."""
        for found in self.found():
            if found["Labels"].get(labels.ROLE) == role:
                return self._engine.find(f"/containers/{found['Id']}/json")
        return None

    def paused(self) -> List[str]:
        """The names of those that are paused."""
        return [str(found["Names"][0]).lstrip("/") for found in self.found() if found["State"] == "paused"]

    def unpause(self) -> None:
        """Lets paused ones go on, so that what runs in them can be stopped."""
        for name in self.paused():
            self._engine.ask("POST", f"/containers/{name}/unpause")

    def clear(self) -> None:
        """Removes every container of the run; gives up after a while on an engine that is away."""
        deadline = time.monotonic() + _CLEAR_LIMIT_S
        while True:
            with contextlib.suppress(EngineProblem):
                found = self.found()
                if not found:
                    return
                for one in found:
                    self._engine.remove_container(one["Id"])
            if time.monotonic() >= deadline:
                return
            time.sleep(_CLEAR_PAUSE_S if deadline - time.monotonic() < _CLEAR_LIMIT_S - 1 else _LOOK_S)

    def sweep(self) -> List[str]:
        """Removes what crashes left here: containers of runs whose folder is gone. Their names."""
        return list(sweep(self._engine, self._work))


def sweep(engine: Engine, work: Path) -> Iterator[str]:
    """Removes the containers of this work directory whose run is not there any more; yields their names."""
    for found in engine.containers({labels.WORKSPACE: str(work)}):
        run_id, node_id = found["Labels"].get(labels.RUN, ""), found["Labels"].get(labels.NODE, "")
        if not NodeLayout(work / "nodes" / node_id / run_id).plan.exists():
            engine.remove_container(found["Id"])
            yield str(found["Names"][0]).lstrip("/")


def remove_shipped(engine: Engine) -> int:
    """Removes every image that was shipped here and that no container uses; returns how many."""
    count = 0
    filters = json.dumps({"reference": [f"{labels.SHIPPED}:*"]})
    for found in engine.json("GET", "/images/json", query={"filters": filters}):
        for name in found.get("RepoTags") or ():
            if name.startswith(f"{labels.SHIPPED}:"):
                try:
                    engine.ask("DELETE", f"/images/{name}")
                    count += 1
                except EngineProblem as problem:
                    if problem.status not in (404, 409):  # Gone; or a run lives in it.
                        raise
    return count
