"""What a node tells is anybody's: events that make no sense change nothing, or fail their step."""

from __future__ import annotations

from typing import Any

import pytest

from runner.nodes.node_state import NodeState
from sidecar.contract import events

_BUILT = {"event": events.STEP, "step": "build", "state": events.DONE, "interpreter": "/p", "key": None, "bin": "/b"}


@pytest.mark.parametrize(
    "record",
    [
        _BUILT,
        {**_BUILT, "cache_hit": False, "interpreter": 5},
        {"event": events.STEP, "step": "build", "state": events.FAILED},
        {"event": events.STEP, "step": "release", "state": events.DONE, "census": [1]},
        {"event": events.STEP, "step": "meet", "state": events.DONE, "reached": {}},
    ],
)
def test_a_step_that_does_not_tell_what_it_must_has_failed(record: dict[str, Any]) -> None:
    """Waiting for a better answer would never end."""
    state = NodeState(node_id="gpu01")
    state.apply(record)
    step = state.step(record["step"])
    assert step is not None and (step["state"], step["hint"]) == (events.FAILED, None)
    assert "makes no sense" in step["message"]


@pytest.mark.parametrize("at_ns", [-1, 1 << 63, 10**30, "now", None])
def test_an_impossible_moment_is_passed_over(at_ns: Any) -> None:
    """No clock shows it, and no file can have it."""
    state = NodeState(node_id="gpu01")
    state.apply({"event": events.STOPPING, "reason": "cancel", "at_ns": at_ns, "monotonic_ns": 1})
    assert state.stopping == []
