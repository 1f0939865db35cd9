from pathlib import Path

from runner.history.process_table import fold, natural, read_processes
from sidecar.contract.layout import WorkspaceLayout
from tests.doubles.run_folders import failed_run, new_run


def test_rows_follow_v1(tmp_path: Path) -> None:
    """Started sets the start, anything else the end, `*` terminates the rest."""
    rows = read_processes(failed_run(WorkspaceLayout(tmp_path)).layout)
    assert [(row.process_name, row.status) for row in rows] == [
        ("rank_0", "Terminated"),
        ("rank_1", "Terminated"),
        ("rank_2", "Failed"),
        ("rank_3", "Terminated"),
    ]
    assert (rows[2].start, rows[2].end) == ("2026-09-21T14:13:21.000000000Z", "2026-09-21T14:13:23.000000000Z")
    assert (rows[2].node_id, rows[2].pid, rows[0].end) == ("local-1", 102, "2026-09-21T14:13:24.000000000Z")


def test_process_without_a_line_has_not_started(tmp_path: Path) -> None:
    """A process that was announced and nothing more is NotStarted."""
    run = new_run(WorkspaceLayout(tmp_path))
    run.rank(0, node_id="local-0")
    (row,) = read_processes(run.layout)
    assert (row.status, row.start, row.is_alive) == ("NotStarted", None, False)


def test_last_status_wins() -> None:
    """Of several lines for one process the last one counts; a status without an announcement makes a row."""
    changes = [
        {"process_name": "main", "status": status, "timestamp": str(number)}
        for number, status in enumerate(["Started", "Failed", "Completed"])
    ]
    (row,) = fold([], changes)
    assert (row.status, row.start, row.end, row.log) == ("Completed", "0", "2", None)


def test_odd_lines_do_no_harm(tmp_path: Path) -> None:
    """Broken and torn lines are passed over."""
    run = new_run(WorkspaceLayout(tmp_path))
    run.layout.process_info.write_bytes(b'nonsense\n{"process_name": "main", "pid_in_container": "x"}\n{"process_na')
    assert [(row.process_name, row.pid) for row in read_processes(run.layout)] == [("main", None)]


def test_names_sort_by_their_numbers() -> None:
    """rank_10 stands behind rank_9."""
    assert sorted(["rank_10", "main", "rank_9", "7"], key=natural) == ["7", "main", "rank_9", "rank_10"]
