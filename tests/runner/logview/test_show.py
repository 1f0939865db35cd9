import io
import re
from pathlib import Path

import pytest

from runner.logview.screen import Appearance
from runner.logview.show import show_logs
from runner.logview.sources import EVERYTHING, Selection
from sidecar.contract.layout import WorkspaceLayout
from tests.doubles.run_folders import RunFolder, at_ns, new_run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = new_run(WorkspaceLayout(tmp_path))
    for rank in range(2):
        run.rank(rank, node_id=f"local-{rank}")
    run.log("65_job_prep-local-0.txt", (0, b"prepared\n"))
    run.rank_log(0, (1, b"a0\n"), (3, b"b0\nc0\n"), (9, b"no end"))
    run.rank_log(1, (2, b"a1\n"), (3, b"b1\n"), (4, b"\r 10%\r 90%\r\n"), (5, b"\x1b[31mred\x1b[0m\x00\n"))
    run.log("75_job_post-local-0.txt", (10, b"released\n"))
    return run


def shown(run: RunFolder, selection: Selection = EVERYTHING, **appearance: object) -> str:
    out = io.BytesIO()
    show_logs(run.layout, out, Appearance(**appearance), selection)  # type: ignore[arg-type]
    return out.getvalue().decode()


def test_lines_are_merged_by_time(run: RunFolder) -> None:
    """All logs on one screen, by the time at which lines were seen, labelled and aligned."""
    assert shown(run) == (
        "local-0:prep | prepared\n"
        "local-0:0    | a0\n"
        "local-1:1    | a1\n"
        "local-0:0    | b0\n"
        "local-0:0    | c0\n"
        "local-1:1    | b1\n"
        "local-1:1    |  90%\n"
        "local-1:1    | red␀\n"
        "local-0:0    | no end\n"
        "local-0:post | released\n"
    )


def test_colours_of_label_and_text(run: RunFolder) -> None:
    """On a coloured terminal the label has its colour, and the text keeps its own."""
    text = shown(run, Selection(ranks=frozenset({1})), is_coloured=True)
    assert "\x1b[32mlocal-1:1\x1b[0m | a1\n" in text and "| \x1b[31mred\x1b[0m␀\x1b[0m\n" in text


@pytest.mark.parametrize(
    ("selection", "appearance", "lines"),
    [
        (Selection(ranks=frozenset({0})), {}, ["a0", "b0", "c0", "no end"]),
        (Selection(node_ids=frozenset({"local-0"})), {}, ["prepared", "a0", "b0", "c0", "no end", "released"]),
        (Selection(ranks=frozenset({0}), node_ids=frozenset({"local-1"})), {}, []),
        (Selection(file_glob="6*"), {}, ["prepared"]),
        (Selection(file_glob="azureml-logs/7*_post*"), {}, ["released"]),
        (EVERYTHING, {"pattern": re.compile("^[ab]1$")}, ["a1", "b1"]),
        (EVERYTHING, {"pattern": re.compile("^red")}, ["red␀"]),
        (EVERYTHING, {"since_ns": at_ns(5)}, ["red␀", "no end", "released"]),
    ],
)
def test_filters(run: RunFolder, selection: Selection, appearance: dict[str, object], lines: list[str]) -> None:
    """Ranks, nodes, files, a pattern and a time narrow what is shown."""
    assert [line.split(" | ")[1] for line in shown(run, selection, **appearance).splitlines()] == lines


def test_empty_run_shows_nothing(tmp_path: Path) -> None:
    """A run without logs shows nothing, and that is no error."""
    assert shown(new_run(WorkspaceLayout(tmp_path))) == ""


def test_log_without_an_index_stands_where_it_was_last_written(run: RunFolder) -> None:
    """Without an index a log's lines stand at the time of its last change."""
    path = run.layout.azureml_logs / "70_mpi_log.txt"
    path.write_bytes(b"x\ny\n")
    assert shown(run).endswith("| x\nmpi          | y\n") or "mpi          | x\nmpi          | y\n" in shown(run)


def test_json_files_are_no_logs(run: RunFolder) -> None:
    """The process tables are not shown among the logs, but can be asked for."""
    assert "process_name" not in shown(run)
    assert "process_name" in shown(run, Selection(file_glob="process_info.json"))
