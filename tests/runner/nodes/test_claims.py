"""Several nodes write one path: the first keeps it, nothing is overwritten, and a new controller decides alike."""

from __future__ import annotations

from pathlib import Path

from runner.nodes.claims import Claims
from sidecar.contract.layout import RunLayout


def _claims(folder: Path) -> Claims:
    run = RunLayout(folder)
    run.state.mkdir(exist_ok=True)
    return Claims(run, "gpu01")


def test_the_first_to_come_keeps_a_path(tmp_path: Path) -> None:
    """Others go below their own name; the answer stays the same, also for the next controller."""
    for claims in (_claims(tmp_path), _claims(tmp_path)):
        assert claims.destination("outputs/a/b", "gpu02") == "outputs/a/b"
        assert claims.destination("outputs/a/b", "gpu01") == "outputs/gpu01/a/b"
        assert claims.destination("logs/x", "gpu03") == "logs/x"
        assert claims.destination("logs/x", "gpu01") == "logs/gpu01/x"


def test_the_build_log_is_the_first_builders(tmp_path: Path) -> None:
    """A node that found its environment in the cache has none."""
    claims = _claims(tmp_path)
    path = "azureml-logs/20_image_build_log.txt"
    assert claims.destination(path, "gpu02") == path
    assert claims.destination(path, "gpu01") == "logs/azureml/sidecar/gpu01/20_image_build_log.txt"


def test_the_mpi_log_is_the_first_nodes(tmp_path: Path) -> None:
    """The launcher runs there, whoever's helper prints first."""
    claims = _claims(tmp_path)
    path = "azureml-logs/70_mpi_log.txt"
    assert claims.destination(path, "gpu02") == "logs/azureml/sidecar/gpu02/70_mpi_log.txt"
    assert claims.destination(path, "gpu01") == path


def test_a_place_beside_is_claimed_as_well(tmp_path: Path) -> None:
    """A node's file that lies where another one's would be put aside is not written into, by nobody."""
    for claims in (_claims(tmp_path), _claims(tmp_path)):
        assert claims.destination("outputs/x", "gpu01") == "outputs/x"
        assert claims.destination("outputs/gpu02/x", "gpu01") == "outputs/gpu02/x"
        assert claims.destination("outputs/x", "gpu02") == "outputs/gpu02.1/x"
        assert claims.destination("outputs/gpu02/x", "gpu02") == "outputs/gpu02/gpu02/x"


def test_files_where_others_have_folders(tmp_path: Path) -> None:
    """No file is put where another one needs a folder, nor into a folder that is a file."""
    claims = _claims(tmp_path)
    assert claims.destination("outputs/a", "gpu01") == "outputs/a"
    assert claims.destination("outputs/a/b", "gpu02") == "outputs/gpu02/a/b"
    assert claims.destination("outputs/gpu02", "gpu01") == "outputs/gpu01/gpu02"
    assert claims.destination("outputs/gpu03", "gpu01") == "outputs/gpu03"
    assert claims.destination("outputs/a", "gpu03") == "outputs/gpu03.1/a"
    assert claims.destination("logs/azureml", "gpu02") == "logs/gpu02/azureml"
