"""Removes from a node's work directory what no run there needs: bundles, snapshots, data sets, environments, images.

What a run has written is never touched. A run needs its things for as long as its folder is there with a live
supervisor; whether a supervisor on another machine (a shared home) lives cannot be seen from here: it counts as live.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Set

from sidecar import house, tree
from sidecar.contract import lock, publish, snapshot_manifest
from sidecar.contract.layout import NodeLayout, WorkspaceLayout
from sidecar.contract.orders import ORDER_NAMES, NodePlan, Verb, node_plan
from sidecar.contract.stores import BundlesLayout, EnvironmentsLayout, InputsLayout, LayersLayout, SnapshotsLayout
from sidecar.engine import Engine, EngineProblem, find_socket
from sidecar.environments.cache import Slot

# What was touched just now may belong to a run that has landed but has no plan yet, or is still arriving.
_YOUNG_S = 60.0


class LiveRun(NamedTuple):
    """A run that still needs its things on this node."""

    plan: NodePlan
    events: bytes
    # The data sets that were sent for it; None while that is not known.
    sets: Optional[List[str]] = None


def main(work_directory: str, arguments: List[str]) -> int:
    """Cleans up and prints one JSON line; `arguments` are `--node NODE_ID`, the name of this very node."""
    if not work_directory or len(arguments) != 2 or arguments[0] != "--node":
        sys.stderr.write("usage: python -m sidecar clean --node NODE_ID, after a landing\n")
        return 2
    report = Cleaning(WorkspaceLayout(Path(work_directory)), arguments[1], own_bundle=Path.cwd()).run()
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


class Cleaning:
    """One clean-up of one work directory."""

    def __init__(
        self,
        work: WorkspaceLayout,
        node_id: str,
        *,
        own_bundle: Optional[Path] = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._work = work
        self._own_bundle = own_bundle
        self._now = clock()
        self._freed = 0
        self._problems: List[str] = []
        self._live = list(_live_runs(work, node_id))

    def run(self) -> Dict[str, Any]:
        """What was removed and kept: counts by kind, bytes, the runs that kept something, problems in words."""
        removed = {
            "environments": self._clean_environments(),
            "snapshots": self._clean_snapshots(),
            "bundles": self._clean_bundles(),
            "images": self._clean_images(),
            "data_sets": self._clean_inputs(),
        }
        return {
            "work_directory": str(self._work.root),
            "removed": removed,
            "freed_bytes": self._freed,
            "live_runs": sorted(live.plan.run_id for live in self._live),
            "problems": self._problems,
        }

    def _clean_environments(self) -> int:
        layout = EnvironmentsLayout(self._work.environments)
        keys = {name for name in _names(layout.root) if layout.folder(name).is_dir()}
        count = 0
        for key in sorted(keys - self._needed_keys(keys)):
            slot = Slot(layout, key)
            size = _size_of(slot.folder)
            held = lock.take(layout.lock(key))
            if held is None:
                continue  # Somebody builds it at this moment.
            try:
                slot.wipe()
                layout.failure(key).unlink()
            except FileNotFoundError:
                pass
            except OSError as error:
                self._problems.append(f"{slot.folder}: {error.strerror}")
                continue
            finally:
                held.close()
            self._freed += size
            count += 1
        return count

    def _needed_keys(self, keys: Set[str]) -> Set[str]:
        """The environments of live runs; all of them where a live run has not said yet which one it has."""
        needed: Set[str] = set()
        for live in self._live:
            named = {key for key in keys if key.encode("ascii", "replace") in live.events}
            if not named:
                return keys
            needed |= named
        return needed

    def _clean_snapshots(self) -> int:
        layout = SnapshotsLayout(self._work.snapshots)
        kept: Set[Path] = set()
        for live in self._live:
            manifest = layout.manifest(live.plan.snapshot_id)
            kept.add(manifest)
            try:
                entries = snapshot_manifest.decode(manifest.read_bytes())
            except (OSError, ValueError):
                return 0  # It is arriving at this moment, and so are its contents.
            kept.update(layout.object(entry["sha256"]) for entry in entries if "sha256" in entry)
        count = 0
        for path in [path for path in layout.root.rglob("*") if path.is_file() and path not in kept]:
            if self._is_young(path):
                continue
            is_manifest = path.parent == layout.root
            count += self._remove(path) and is_manifest
        return count

    def _clean_inputs(self) -> int:
        """Removes data sets that no live run has; their contents go with the last set that has them."""
        layout = InputsLayout.of(self._work.root)
        with_data = [live for live in self._live if live.plan.data]
        if any(live.sets is None for live in with_data):
            return 0  # They are arriving at this moment.
        needed = {set_id for live in with_data for set_id in live.sets or ()}
        kept: Set[Path] = {layout.listing(given["listing"]) for live in with_data for given in live.plan.data["inputs"]}
        for set_id in needed:
            kept.add(layout.manifest(set_id))
            try:
                entries = snapshot_manifest.decode(layout.manifest(set_id).read_bytes())
            except (OSError, ValueError):
                return 0
            kept.update(layout.object(entry["sha256"]) for entry in entries if "sha256" in entry)
        folders = [layout.folder(name) for name in _names(layout.sets) if layout.folder(name).is_dir()]
        count = 0
        for folder in folders:
            if folder.name not in needed and not self._is_new(folder):
                count += self._remove_set(folder)
        loose = [path for path in layout.root.rglob("*") if path.is_file() and not set(folders) & set(path.parents)]
        for path in loose:
            is_lock = path.name.endswith(layout.lock("x").suffix)
            if path not in kept and not is_lock and not self._is_new(path):
                self._remove(path)
        return count

    def _remove_set(self, folder: Path) -> bool:
        """Removes a data set's folders and its links to contents, which free nothing before the last goes."""
        left = tree.remove(str(folder))
        self._problems += left
        return not left

    def _is_new(self, path: Path) -> bool:
        """As `_is_young`, for what has no time of change of its own."""
        with contextlib.suppress(OSError):
            return self._now - path.stat().st_ctime < _YOUNG_S
        return True

    def _clean_images(self) -> int:
        """Removes the images that were shipped here, what crashes left on the engine, and parts that came half."""
        layers = LayersLayout.of(self._work.root).root
        if not any(live.plan.is_contained for live in self._live):
            for folder in (layers / name for name in _names(layers)):
                self._remove(folder)
        try:
            path = find_socket(os.environ)
        except EngineProblem:
            return 0  # No engine of this node's.
        if not os.path.exists(path):
            return 0
        engine = Engine(path)
        try:
            for _ in house.sweep(engine, self._work.root):
                pass
            return house.remove_shipped(engine)
        except EngineProblem as problem:
            if os.access(path, os.R_OK | os.W_OK):  # An engine that is not this user's has none of our images.
                self._problems.append(str(problem))
            return 0

    def _clean_bundles(self) -> int:
        layout = BundlesLayout(self._work.bundles)
        kept = {Path(live.plan.bundle) for live in self._live}
        count = 0
        for path in [layout.root / name for name in _names(layout.root)]:
            is_own = self._own_bundle is not None and path == self._own_bundle and not self._is_touched_since(path)
            if path not in kept and (is_own or not self._is_young(path)):
                count += self._remove(path)
        return count

    def _is_touched_since(self, path: Path) -> bool:
        """Whether another landing has touched our own bundle after the one that brought us here."""
        with contextlib.suppress(OSError):
            return path.stat().st_mtime > self._now
        return False

    def _is_young(self, path: Path) -> bool:
        with contextlib.suppress(OSError):
            return self._now - path.stat().st_mtime < _YOUNG_S
        return True

    def _remove(self, path: Path) -> bool:
        size = _size_of(path)
        try:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError as error:
            self._problems.append(f"{error.filename or path}: {error.strerror}")
            return False
        self._freed += size
        return True


def _live_runs(work: WorkspaceLayout, node_id: str) -> Iterator[LiveRun]:
    for name in _names(work.nodes):
        for run_id in _names(work.nodes / name):
            node = work.node(name, run_id)
            plan = _read_plan(node)
            if plan is not None and (name != node_id or lock.holder(node.supervisor_lock) is not None):
                sets = _read_sets(node)
                try:
                    yield LiveRun(plan, node.events.read_bytes(), sets)
                except OSError:
                    yield LiveRun(plan, b"", sets)


def _read_plan(node: NodeLayout) -> Optional[NodePlan]:
    try:
        record = publish.read_record(node.plan)
        return None if record is None else node_plan(record)
    except (OSError, ValueError):
        return None


def _read_sets(node: NodeLayout) -> Optional[List[str]]:
    """The data sets that job preparation was ordered to lay out; None where it was ordered nothing yet."""
    try:
        order = publish.read_record(node.order(ORDER_NAMES[Verb.PREPARE]))
    except (OSError, ValueError):
        return None
    return None if order is None else list(map(str, (order.get("sets") or {}).values()))


def _names(folder: Path) -> List[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _size_of(path: Path) -> int:
    """Bytes on the disk, as `du` counts them, of a file or of all in a folder."""
    total = 0
    pending = [path]
    while pending:
        place = pending.pop()
        with contextlib.suppress(OSError):
            total += place.lstat().st_blocks * 512
            if place.is_dir() and not place.is_symlink():
                pending += place.iterdir()
    return total
