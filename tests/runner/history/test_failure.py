"""Who failed first: by the moment it began to fail, whoever was seen to end first."""

from __future__ import annotations

from dataclasses import replace
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


def _helper(name: str, node_id: str, record: dict[str, Any], **more: Any) -> Ending:
    return Ending(process_name=name, node_id=node_id, record=record, log=None, is_user=False, **more)


def _find_mpi(*endings: Ending) -> dict[str, Any]:
    found = find_failure(endings, read_tail=lambda _: [], is_mpi=True)
    assert found is not None
    return found


def _ms(moment: float) -> int:
    return int(moment * 1_000_000)


def test_what_the_runner_stopped_is_no_cause() -> None:
    """Open MPI's daemon was killed in its shell: it is named, not a rank that the runner stopped right after."""
    stopped = replace(_ending(2, _record(_ms(552), signal="SIGTERM")), is_after_stop=True)
    found = _find_mpi(stopped, _helper("mpi_proxy_0", "local-0", _record(_ms(526), 137)))
    assert found["summary"] == (
        "mpi_proxy_0 on local-0 failed first: killed by SIGKILL; 1 other was stopped because of it"
    )
    # Where nothing else failed, it is all that there is to tell.
    assert _find_mpi(stopped)["first"]["process_name"] == "rank_2"


def test_a_rank_that_leaves_mpich_early_is_named() -> None:
    """Hydra's proxy leaves with 0 and kills its other ranks' wrappers: the one that left before MPI_Finalize is it."""
    found = _find_mpi(
        _ending(2, _record(_ms(581))),
        _helper("mpi_proxy_1", "local-1", _record(_ms(637))),
        _ending(3, _record(_ms(849), None, is_lost=True)),
        replace(_ending(1, _record(_ms(902), signal="SIGTERM")), is_after_stop=True),
    )
    assert found["first"]["kind"] == "left_early"
    assert found["summary"] == (
        "rank_2 on local-1 failed first: ended with exit code 0, but without MPI_Finalize; "
        "2 others were stopped because of it"
    )


def test_a_rank_that_leaves_mpich_early_is_named_before_the_helpers() -> None:
    """Now and then the helpers are seen to end first, and the ranks only during the runner's own stop."""
    found = _find_mpi(
        _ending(0, _record(_ms(3366))),
        _helper("mpi_proxy_1", "local-1", _record(_ms(3402), 7)),
        _helper("mpi_launcher", "local-0", _record(_ms(3403), 9)),
        _helper("mpi_proxy_0", "local-0", _record(_ms(3409))),
        replace(_ending(3, _record(_ms(3428), signal="SIGKILL", is_lost=True)), is_after_stop=True),
        replace(_ending(1, _record(_ms(3434), None, is_lost=True)), is_after_stop=True),
    )
    assert found["first"]["process_name"] == "rank_0"


def test_a_rank_that_leaves_open_mpi_early_is_named() -> None:
    """The others abort with 14 when its socket closes, and one of them may be seen to end before it."""
    found = _find_mpi(_ending(0, _record(_ms(687), 14)), _ending(2, _record(_ms(700))))
    assert found["first"]["process_name"] == "rank_2"


@pytest.mark.parametrize(
    "record",
    [
        _record(_ms(900), 14, raised={"type": "SystemExit", "message": "14", "at_ns": _ms(900), "monotonic_ns": 1}),
        _record(_ms(900), None, is_lost=True),
        _record(_ms(900), signal="SIGSEGV"),
        _record(_ms(900), signal="SIGKILL"),
        _record(_ms(9000), 14),
    ],
)
def test_a_rank_that_ended_well_is_not_blamed(record: dict[str, Any]) -> None:
    """Who fails by itself after another rank's good end is the first."""
    assert _find_mpi(_ending(0, _record(_ms(700))), _ending(1, record))["first"]["process_name"] == "rank_1"
