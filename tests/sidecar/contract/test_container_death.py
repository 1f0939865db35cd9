"""Why a container died, in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.contract.container_death import describe


def _there(exit_code: int, *, memory: int = 0, **state: Any) -> dict[str, Any]:
    return {
        "State": {"ExitCode": exit_code, "OOMKilled": False, "Error": "", **state},
        "HostConfig": {"Memory": memory},
    }


@pytest.mark.parametrize(
    ("there", "sentence"),
    [
        (None, "its container c was removed"),
        (_there(0, memory=100 * 2**20, OOMKilled=True), "its container c ran out of memory (limit 100 MiB)"),
        (_there(137, OOMKilled=True), "its container c ran out of memory"),
        (
            _there(137),
            "its container c ended (exit code 137: killed, or the engine was restarted without live-restore)",
        ),
        (_there(1), "its container c ended (exit code 1)"),
        (_there(127, Error="no such file"), "its container c ended (exit code 127, no such file)"),
    ],
)
def test_sentence(there: dict[str, Any] | None, sentence: str) -> None:
    """Out of memory counts whatever the exit code is: the first process may have ended well all the same (F26)."""
    found = describe("c", there)
    assert found["sentence"] == sentence
    assert found["is_out_of_memory"] is ("memory" in sentence)
