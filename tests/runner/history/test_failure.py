"""Who failed first: by the moment it began to fail, whoever was seen to end first."""

from __future__ import annotations

from typing import Any

import pytest

from runner.history.failure import Ending, find_failure, how

_TRACEBACK = """Traceback (most recent call last):
  File "train.py", line 3, in <module>
    step(2)
ValueError: bad batch"""


def _record(at: int, exit_code: int | None = 0, signal: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "exit_code": None if signal else exit_code,
        "signal": signal,
        "at_ns": at,
        "monotonic_ns": at,
        "error": None,
        "is_lost": False,
        "raised": None,
        "is_out_of_memory": False,
        **more,
    }


def _ending(number: int, record: dict[str, Any], *, offset_ns: int = 0) -> Ending:
    return Ending(
        process_name=f"rank_{number}",
        node_id=f"local-{number // 2}",
        record=record,
        log=f"azureml-logs/70_driver_log_{number}.txt",
        is_user=True,
        clock_offset_ns=offset_ns,
    )


def _find(*endings: Ending, lines: str = "") -> dict[str, Any]:
    found = find_failure(endings, read_tail=lambda _: lines.splitlines())
    assert found is not None
    return found


def test_all_well_is_no_failure() -> None:
    """Exit code 0 everywhere: nothing is named."""
    assert find_failure([_ending(0, _record(1))], read_tail=lambda _: []) is None


def test_the_exception_comes_before_the_end_it_caused() -> None:
    """An MPI abort kills the others before the raising rank itself ends: the raise decides, with its traceback."""
    raised = {"type": "ValueError", "message": "bad batch", "at_ns": 50, "monotonic_ns": 50}
    found = _find(
        _ending(0, _record(90, signal="SIGKILL")),
        _ending(2, _record(100, 1, raised=raised)),
        _ending(3, _record(91, signal="SIGTERM")),
        lines=f"step 1\n{_TRACEBACK}\nAbort(1)",
    )
    assert found["first"]["process_name"] == "rank_2"
    assert found["first"]["kind"] == "exception"
    assert found["first"]["traceback"] == _TRACEBACK
    assert found["summary"] == (
        "rank_2 on local-1 failed first: ValueError: bad batch (exit code 1); 2 others were stopped because of it"
    )


def test_a_failure_after_the_first_is_no_cause() -> None:
    """A rank that raises because its peer is gone failed too, later; it is not called stopped."""
    later = {"type": "ConnectionError", "message": "", "at_ns": 20, "monotonic_ns": 20}
    found = _find(_ending(0, _record(10, 3)), _ending(1, _record(25, 1, raised=later)))
    assert found["first"]["process_name"] == "rank_0"
    assert [other["outcome"] for other in found["others"]] == ["failed"]


def test_clocks_of_other_nodes_are_put_right() -> None:
    """A node whose clock is ahead does not look late."""
    found = _find(_ending(0, _record(1000, 1)), _ending(2, _record(1400, 1), offset_ns=500))
    assert found["first"]["process_name"] == "rank_2"


@pytest.mark.parametrize(
    ("record", "kind", "phrase"),
    [
        (_record(1, 7), "exit_code", "exit code 7"),
        (_record(1, signal="SIGSEGV"), "signal", "killed by SIGSEGV"),
        (
            _record(1, signal="SIGKILL", is_out_of_memory=True, memory_limit_bytes=50 * 2**20),
            "out_of_memory",
            "out of memory (killed by the kernel, limit 50 MiB)",
        ),
        (
            _record(1, 127, error="/no/such: No such file"),
            "start_failed",
            "could not be started: /no/such: No such file",
        ),
        (_record(1, None, is_lost=True), "lost", "vanished without an exit record; somebody killed the process"),
    ],
)
def test_how_is_told(record: dict[str, Any], kind: str, phrase: str) -> None:
    """Every way to fail has its own word."""
    first = _find(_ending(0, record))["first"]
    assert first["kind"] == kind
    assert how(first).startswith(phrase)


def test_a_traceback_is_found_without_anybodys_help() -> None:
    """A command's Python leaves no record of its exception: the log has it, with what caused it."""
    chained = f"{_TRACEBACK}\n\nDuring handling of the above exception, another exception occurred:\n\n{_TRACEBACK}"
    found = _find(_ending(0, _record(1, 1)), lines=f"noise\n{chained}\nmore noise")
    assert found["first"]["exception"] == {"type": "ValueError", "message": "bad batch"}
    assert found["first"]["traceback"] == chained
