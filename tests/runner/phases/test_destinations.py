"""Outputs are brought to where a person wants them, of every node, and nothing that is there is lost."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from runner.history.manifest import Patience
from runner.phases.destinations import bring
from runner.phases.phase import RunContext
from runner.spec.data import DataSpec, OutputSpec
from runner.spec.request import RunRequest
from sidecar.contract.layout import RunLayout
from sidecar.contract.orders import NodePlan


def _context(folder: Path, destination: str, *, overwrites: bool = False) -> RunContext:
    output = OutputSpec(name="made", destination=destination, variables=("made",), overwrites=overwrites)
    request = RunRequest(
        experiment_name="data", source_directory="/", script="job.py", data=DataSpec(outputs=(output,))
    )
    nodes = tuple(
        NodePlan(**{**dict.fromkeys(NodePlan._fields, None), "node_id": node_id}) for node_id in ("gpu01", "gpu02")
    )
    return RunContext(run_id="run", request=request, run=RunLayout(folder / "run"), nodes=nodes, node_folders={})


def _bring(context: RunContext) -> tuple[str, ...]:
    return bring(context, Patience(lambda: False))


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """What two nodes wrote, as it lies in a run: the second has another file under a name of the first."""
    folder = tmp_path / "run" / "outputs"
    for path, text in (
        ("made/model.txt", "first"),
        ("made/deep/a.txt", "a"),
        ("gpu02/made/model.txt", "second"),
        ("gpu02.1/made/model.txt", "second again"),
        ("other/not-asked-for.txt", "x"),
    ):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def _texts(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_files_of_every_node_arrive(outputs: Path, tmp_path: Path) -> None:
    """The first node's under their names, another's below its own; a second time changes nothing."""
    context = _context(tmp_path, str(tmp_path / "there"))
    wanted = {
        "model.txt": "first",
        "deep/a.txt": "a",
        "gpu02/model.txt": "second",
        "gpu02.1/model.txt": "second again",
    }
    for _ in range(2):
        assert _bring(context) == ()
        assert _texts(tmp_path / "there") == wanted
    assert (outputs / "made/model.txt").read_text() == "first"


def test_what_is_there_is_kept_beside(outputs: Path, tmp_path: Path) -> None:
    """The new file has the name, the old one stands aside, and the run says so."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "model.txt").write_text("of last week")
    warnings = _bring(_context(tmp_path, str(tmp_path / "there")))
    assert _texts(tmp_path / "there")["model.txt"] == "first"
    assert _texts(tmp_path / "there")["model.txt.g1"] == "of last week"
    assert len(warnings) == 1 and "kept there as model.txt.g1" in warnings[0]


def test_overwrite_means_it(outputs: Path, tmp_path: Path) -> None:
    """`as_upload(overwrite=True)` replaces what is there, and nothing is said."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "model.txt").write_text("of last week")
    assert _bring(_context(tmp_path, str(tmp_path / "there"), overwrites=True)) == ()
    assert "model.txt.g1" not in _texts(tmp_path / "there")


def test_a_place_that_takes_nothing_is_a_warning(outputs: Path, tmp_path: Path) -> None:
    """A file in the folder's place: the run says why, and has everything itself."""
    (tmp_path / "there").write_text("a file")
    (warning,) = _bring(_context(tmp_path, str(tmp_path / "there")))
    assert "output made: not all of it could be brought to" in warning and "below outputs/made" in warning
    assert _texts(outputs)["made/model.txt"] == "first"


def test_outputs_go_to_an_address(outputs: Path, tmp_path: Path) -> None:
    """Sent with fsspec, of every node; what is there under a name stays, and the run says so."""
    fsspec = pytest.importorskip("fsspec")
    system, context = fsspec.filesystem("memory"), _context(tmp_path, "memory://bucket/made")
    system.pipe_file("/bucket/made/model.txt", b"of last week")
    (warning,) = _bring(context)
    assert "not sent: model.txt; other files of the same names" in warning
    assert system.cat_file("/bucket/made/model.txt") == b"of last week"
    assert system.cat_file("/bucket/made/gpu02/model.txt") == b"second"
    assert _bring(_context(tmp_path, "memory://bucket/made", overwrites=True)) == ()
    assert system.cat_file("/bucket/made/model.txt") == b"first"
    system.rm("/bucket", recursive=True)


def test_an_address_that_fails_is_a_warning(outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No such protocol, or no library for addresses: the files stay in the run."""
    for _ in range(2):
        (warning,) = _bring(_context(tmp_path, "nosuch://bucket/made"))
        assert "nosuch://bucket/made" in warning and "below outputs/made" in warning
        monkeypatch.setitem(sys.modules, "fsspec", None)


def test_a_canceled_run_waits_for_no_address(outputs: Path, tmp_path: Path) -> None:
    """A server that never answers does not keep a run from its end."""
    fsspec = pytest.importorskip("fsspec")
    import threading

    release = threading.Event()

    class _Slow(fsspec.AbstractFileSystem):  # type: ignore[misc]
        protocol = "slow"

        def info(self, path: str, **_: object) -> dict[str, object]:
            release.wait()
            raise FileNotFoundError(path)

    fsspec.register_implementation("slow", _Slow, clobber=True)
    try:
        (warning,) = bring(_context(tmp_path, "slow://bucket/made"), Patience(lambda: True, limit_s=0))
    finally:
        release.set()
    assert "the run was canceled meanwhile" in warning
