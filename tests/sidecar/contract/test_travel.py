"""A node may send its logs and what its script wrote, and nothing that is the controller's or lies elsewhere."""

from __future__ import annotations

import pytest

from sidecar.contract.travel import may_travel, sealed_files

_MAY = [
    "azureml-logs/20_image_build_log.txt",
    "azureml-logs/65_job_prep-gpu01.txt",
    "azureml-logs/70_driver_log.txt",
    "azureml-logs/70_driver_log_17.txt",
    "azureml-logs/70_mpi_log.txt",
    "logs/azureml/0_31_azureml.log",
    "logs/mine/deep/er.log",
    "outputs/ünï ☃",
    ".state/metrics/rank_3.jsonl",
    ".state/index/70_driver_log.txt.idx",
    ".state/seals/gpu01.jsonl",
]
_MAY_NOT = [
    "",
    "run.json",
    "outputs",
    "outputs/",
    "outputs/../run.json",
    "outputs/./x",
    "/outputs/x",
    "outputs//x",
    "outputs/a\0b",
    "outputs/" + "x" * 256,
    "outputs/" + "/".join(["x" * 200] * 20),
    "azureml-logs/process_info.json",
    "azureml-logs/65_job_prep-gpu02.txt",
    "azureml-logs/55_azureml-execution-gpu01.txt",
    "azureml-logs/sub/70_driver_log.txt",
    "logs/azureml/failure.json",
    "logs/azureml/manifest.json",
    ".state/controller.lock",
    ".state/seals/gpu02.jsonl",
    ".state/metrics/evil.jsonl",
    ".state/metrics/../claims.jsonl",
    ".state/cancel.json",
]


@pytest.mark.parametrize("path", _MAY)
def test_these_travel(path: str) -> None:
    """Logs, metrics, time indexes, and whatever the script wrote."""
    assert may_travel(path, "gpu01")


@pytest.mark.parametrize("path", _MAY_NOT)
def test_these_do_not(path: str) -> None:
    """What the controller writes, another node's, and whatever is no plain path."""
    assert not may_travel(path, "gpu01")


def test_a_seal_counts_only_when_it_is_whole() -> None:
    """Its last line says how many files there are."""
    entry = {"path": "outputs/x", "size": 1, "sha256": "0", "mode": 420, "link": None}
    assert sealed_files([entry], "gpu01") is None
    assert sealed_files([entry, {"count": 2}], "gpu01") is None
    assert set(sealed_files([entry, {"count": 1}], "gpu01") or ()) == {"outputs/x"}
    with pytest.raises(ValueError, match="may not travel"):
        sealed_files([{**entry, "path": "../x"}, {"count": 1}], "gpu01")
