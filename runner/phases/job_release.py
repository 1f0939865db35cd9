"""Job release: outputs collected, census taken, work folders removed. Its log is `75_`. Runs after every other end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    """Releases the nodes one after the other, so that the first node's file keeps its path. Returns the census by node.

    A node that could not release says so in the census under `problem`; nothing is raised, since release must
    reach every node.
    """
    census: dict[str, Any] = {}
    for node in stage.fleet:
        if not node.has_accepted("plan"):
            census[node.node_id] = {"problem": "the node was never reached"}
            continue
        node.order(ORDER_NAMES[Verb.RELEASE], Verb.RELEASE)
        stage.fleet.wait(
            lambda node=node: node.state.step(Verb.RELEASE.value) is not None,  # type: ignore[misc]  # bound at once
            limit_s=_RELEASE_LIMIT_S,
            heeds_cancel=False,
        )
        released = node.state.step(Verb.RELEASE.value)
        if released is None:
            census[node.node_id] = {"problem": "the node did not answer"}
        elif released["state"] == "failed":
            census[node.node_id] = {"problem": released["message"], "kept": str(context.node_folders[node.node_id])}
            stage.say(node.node_id, f"Job release failed: {released['message']}; the node's folder is kept")
        else:
            census[node.node_id] = released["census"]
    return census


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
    stage.fleet.wait(lambda: all(node.is_removed for node in stage.fleet), limit_s=limit_s, heeds_cancel=False)


def warnings(census: Mapping[str, Any]) -> tuple[str, ...]:
    """What a person must know of nodes that could not be released: their outputs may be incomplete."""
    sentence = "{node}: outputs may be incomplete: {problem}{kept}"
    return tuple(
        sentence.format(node=node, problem=found["problem"], kept=f"; the rest is in {found['kept']}/work")
        for node, found in sorted(census.items())
        if "problem" in found and "kept" in found
    )
