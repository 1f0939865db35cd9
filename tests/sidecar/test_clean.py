"""Cleaning a node: all that no live run needs goes, nothing that a run has written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sidecar import inputs, tree
from sidecar.clean import Cleaning
from sidecar.contract import lock, publish, snapshot_manifest
from sidecar.contract.layout import WorkspaceLayout
from sidecar.contract.orders import ORDER_NAMES, NodePlan, Verb
from sidecar.contract.stores import InputsLayout
from tests.doubles.shipping import ship_set

RUN = "digits_1700000000_0123abcd"
LATER_S = 3600.0


@pytest.fixture
def work(tmp_path: Path) -> WorkspaceLayout:
    """A work directory with a bundle, a snapshot and an environment that RUN uses, and one of each that it does not."""
    layout = WorkspaceLayout(tmp_path)
    for name in ("used", "unused"):
        for folder in (layout.bundles / name, layout.environments / name):
            folder.mkdir(parents=True)
            (folder / "file").write_text(name)
    for name, letter in (("used", "a"), ("unused", "b")):
        sha256 = letter * 64
        content = layout.snapshots / "objects" / sha256[:2] / sha256
        content.parent.mkdir(parents=True)
        content.write_text(name)
        entries = [{"path": "f", "mode": "644", "size": 1, "sha256": sha256}]
        (layout.snapshots / f"{name}.json").write_bytes(snapshot_manifest.encode(entries))
    node = layout.node("gpu01", RUN)
    node.root.mkdir(parents=True)
    fields: dict[str, Any] = dict.fromkeys(NodePlan._fields, "")
    fields |= {"run_id": RUN, "bundle": str(layout.bundles / "used"), "snapshot_id": "used", "environment": {}}
    node.plan.write_bytes(publish.to_json(fields))
    node.events.write_text(json.dumps({"event": "built", "key": "used"}) + "\n")
    (node.root / "log").write_text("what the run wrote")
    return layout


def left(work: WorkspaceLayout) -> set[str]:
    """What is still there, of that which may go."""
    places = [work.bundles, work.snapshots, work.environments]
    found = [
        path for place in places for path in place.glob("*used*") if path.suffix != ".lock"
    ]  # Locks stay for ever.
    return {str(path.relative_to(work.root)) for path in found}


def clean(work: WorkspaceLayout, node_id: str = "gpu01") -> dict[str, Any]:
    """Cleans, an hour after everything was made."""
    return Cleaning(work, node_id, clock=lambda: time.time() + LATER_S).run()


def test_live_run_keeps_its_things(work: WorkspaceLayout) -> None:
    """While the run's supervisor lives, its bundle, snapshot and environment stay, and the rest goes."""
    held = lock.take(work.node("gpu01", RUN).supervisor_lock)
    assert held is not None
    report = clean(work)
    held.close()
    assert left(work) == {"bundles/used", "snapshots/used.json", "environments/used"}
    assert report["removed"] == {
        "environments": 1,
        "snapshots": 1,
        "bundles": 1,
        "images": 0,
        "data_sets": 0,
    } and report["live_runs"] == [RUN]
    assert report["freed_bytes"] > 0 and report["problems"] == []
    assert [path.name for path in (work.snapshots / "objects").rglob("*") if path.is_file()] == ["a" * 64]


def test_dead_run_keeps_only_what_it_wrote(work: WorkspaceLayout) -> None:
    """Without a supervisor nothing is needed any more, but a run's folder is not ours to remove."""
    report = clean(work)
    assert left(work) == set() and report["live_runs"] == []
    assert (work.node("gpu01", RUN).root / "log").read_text() == "what the run wrote"


def test_run_of_another_machine_counts_as_live(work: WorkspaceLayout) -> None:
    """In a home that several nodes share, another node's supervisor cannot be seen, so its things stay."""
    assert clean(work, "gpu02")["live_runs"] == [RUN]
    assert "bundles/used" in left(work)


def test_live_run_that_has_no_environment_yet_keeps_all(work: WorkspaceLayout) -> None:
    """Which environment it will have is not known before it says so."""
    node = work.node("gpu01", RUN)
    node.events.write_text("")
    held = lock.take(node.supervisor_lock)
    assert held is not None
    clean(work)
    held.close()
    assert {"environments/used", "environments/unused"} <= left(work)


def test_what_is_young_or_being_built_stays(work: WorkspaceLayout) -> None:
    """A bundle that just arrived, and an environment whose lock is held, may belong to a run that begins."""
    held = lock.take(work.environments / "unused.lock")
    assert held is not None
    report = Cleaning(work, "gpu01").run()
    held.close()
    assert {"bundles/unused", "environments/unused", "snapshots/unused.json"} <= left(work)
    assert report["removed"]["bundles"] == 0


def test_the_part_itself_prints_one_line_and_leaves_no_bundle(work: WorkspaceLayout) -> None:
    """`python -m sidecar clean` removes even the bundle that it runs from, unless somebody landed meanwhile."""
    package = Path(__file__).parents[2] / "sidecar"
    own = work.bundles / "own"
    own.mkdir()
    os.symlink(package, own / "sidecar")
    environ = {"RUNNER_WORK_DIRECTORY": str(work.root), "PATH": os.environ["PATH"]}
    command = [sys.executable, "-S", "-E", "-m", "sidecar", "clean", "--node", "gpu01"]
    done = subprocess.run(command, cwd=own, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["work_directory"] == str(work.root) and done.stdout.count("\n") == 1
    assert not own.exists() and package.is_dir()


@pytest.mark.parametrize("is_live", [True, False])
def test_data_sets_go_with_the_last_run_that_has_them(work: WorkspaceLayout, tmp_path: Path, is_live: bool) -> None:
    """What a live run reads stays, with its contents; the rest goes, read-only as it is."""
    data, node = tmp_path / "data", work.node("gpu01", RUN)
    data.mkdir()
    (data / "x.csv").write_text("x")
    source, set_id, _ = ship_set(data, tmp_path)
    os.rename(source.root, InputsLayout.of(work.root).root)
    store = InputsLayout.of(work.root)
    folder = inputs.lay_out(store, set_id)
    plan = publish.read_record(node.plan) or {}
    node.plan.write_bytes(publish.to_json({**plan, "data": {"inputs": [{"listing": "0" * 64}], "outputs": {}}}))
    node.orders.mkdir()
    node.order(ORDER_NAMES[Verb.PREPARE]).write_bytes(publish.to_json({"sets": {"0" * 64: set_id}}))
    held = lock.take(node.supervisor_lock) if is_live else None
    report = clean(work)
    assert folder.joinpath("x.csv").exists() == is_live
    assert len([path for path in store.objects.rglob("*") if path.is_file()]) == is_live
    assert report["removed"]["data_sets"] == (not is_live) and report["problems"] == []
    if held is not None:
        held.close()
        tree.remove(str(folder))
