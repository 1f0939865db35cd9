"""Job release: outputs collected, census taken, work folders removed. Its log is `75_`. Runs after every other end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.nodes.fleet import Fleet
from runner.nodes.node import Node
from runner.phases import collection
from runner.phases.phase import PhasePlan, RunContext, Stage
from sidecar.contract.orders import ORDER_NAMES, Verb

PHASE = "job release"
# Collecting may copy gigabytes; a node that is lost must not hold up the end for ever.
_RELEASE_LIMIT_S = 3600.0
_QUIT_LIMIT_S = 30.0
# A node that never answered probably never will; one that is only slow does within this.
_UNREACHED_LIMIT_S = 5.0


def plan(context: RunContext) -> PhasePlan:
    """What is collected from where."""
    return PhasePlan(
        phase=PHASE,
        lines=tuple(f"{node.node_id}: collect outputs/ and logs/, take the census, clean up" for node in context.nodes),
    )


def run(context: RunContext, stage: Stage) -> dict[str, Any]:
    """Releases the nodes and brings home what they have. Returns the census by node.

    A node that could not release says so in the census under `problem`; nothing is raised, since release must
    reach every node.
    """
    reached = [node for node in stage.fleet if node.is_reached]
    if all(node.plan.is_remote for node in reached):
        _release(stage, reached)
    else:
        # They write into one folder: one after the other, so that the first node's file keeps its path.
        for node in reached:
            _release(stage, [node])
    census = {node.node_id: _census_of(node, context) for node in stage.fleet}
    problems = collection.collect(stage, [node for node in reached if "problem" not in census[node.node_id]])
    for node_id, problem in problems.items():
        census[node_id].update(problem=problem, kept=str(context.node_folders[node_id]))
    for node in reached:
        _note_remainder(node, census[node.node_id], context)
    for node_id, found in census.items():
        if "kept" in found:
            problem = found.get("problem") or found["remainder"]
            stage.say(node_id, f"Job release failed: {problem}; the node's folder is kept")
    return census


def _note_remainder(node: Node, found: dict[str, Any], context: RunContext) -> None:
    """Notes in the node's census what its release left in the work folder, which then must stay."""
    released = node.state.step(Verb.RELEASE.value) or {}
    for key, what in (("left", "could not be collected"), ("remains", "could not be removed")):
        parts = released.get(key)
        if isinstance(parts, list) and parts and "problem" not in found:
            more = f", and {len(parts) - 1} more" if len(parts) > 1 else ""
            found["remainder"] = f"{parts[0]}{more} {what}"
            found["kept"] = str(context.node_folders[node.node_id])
            return


def _release(stage: Stage, nodes: list[Node]) -> None:
    for node in nodes:
        node.order(ORDER_NAMES[Verb.RELEASE], Verb.RELEASE)
    stage.wait_unless_abandoned(
        nodes, lambda node: node.state.step(Verb.RELEASE.value) is not None, limit_s=_RELEASE_LIMIT_S
    )


def _census_of(node: Node, context: RunContext) -> dict[str, Any]:
    if not node.is_reached:
        return {"problem": "the node was never reached"}
    released = node.state.step(Verb.RELEASE.value)
    kept = str(context.node_folders[node.node_id])
    if released is None:
        return {"problem": "the node did not answer", "kept": kept}
    if released["state"] == "failed":
        return {"problem": released["message"], "kept": kept}
    return dict(released["census"])


def dismiss(stage: Stage, census: Mapping[str, Any]) -> None:
    """Lets the nodes go: supervisors end, folders are removed, except where release could not collect everything."""
    for node in stage.fleet:
        found = census.get(node.node_id, {"problem": ""})
        is_kept = "kept" in found
        stage.say(node.node_id, "Releasing the node" + (f"; kept: {found['kept']}" if is_kept else ""))
        # Also where no answer came yet: a node that takes its plan this late must not wait for orders for ever.
        node.order(ORDER_NAMES[Verb.QUIT], Verb.QUIT, {"keep": True} if is_kept else None)
        node.open()
    is_reached = all("problem" not in found or "kept" in found for found in census.values())
    limit_s = _QUIT_LIMIT_S if is_reached else _UNREACHED_LIMIT_S
    stage.fleet.wait(
        lambda: all(node.is_removed or stage.is_abandoned(node) for node in stage.fleet),
        limit_s=limit_s,
        heeds_cancel=False,
    )


def abandon(fleet: Fleet) -> None:
    """Ends everything of a run whose folder somebody removed, on every node that can be reached."""
    fleet.observe(lambda: None)
    for node in fleet:
        node.order(ORDER_NAMES[Verb.QUIT], Verb.QUIT)
    fleet.wait(lambda: all(node.is_removed for node in fleet), limit_s=_QUIT_LIMIT_S, heeds_cancel=False)


def left_containers(fleet: Fleet) -> tuple[str, ...]:
    """What a person must know of nodes whose engine was away when they were let go."""
    sentence = "{node}: containers may be left, since its engine does not answer; the next run there removes them"
    return tuple(sentence.format(node=node.node_id) for node in fleet if node.has_left_containers)


def warnings(census: Mapping[str, Any]) -> tuple[str, ...]:
    """What a person must know of nodes that could not be released: their outputs may be incomplete."""
    sentence = "{node}: outputs may be incomplete: {problem}{kept}"
    left = tuple(
        f"{node}: {found['left']} of what the run started or made could not be ended or removed: see its census"
        for node, found in sorted(census.items())
        if found.get("left")
    )
    left += tuple(
        f"{node}: {found['remainder']}; it is kept in {found['kept']}/work"
        for node, found in sorted(census.items())
        if "remainder" in found
    )
    return left + tuple(
        sentence.format(node=node, problem=found["problem"], kept=f"; the rest is in {found['kept']}/work")
        for node, found in sorted(census.items())
        if "problem" in found and "kept" in found
    )
