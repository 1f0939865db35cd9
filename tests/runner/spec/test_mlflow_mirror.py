"""`mlflow:` in a config."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runner.errors import ConfigError
from runner.spec.config_file import read_request
from runner.spec.request import MirrorSpec, RunRequest
from runner.spec.runconfig import write_runconfig


def read(folder: Path, mlflow: str) -> RunRequest:
    (folder / "train.py").touch()
    (folder / "train.yml").write_text(f"script: train.py\nmlflow: {mlflow}\n")
    return read_request(folder / "train.yml")


def test_mirror_is_part_of_the_request(tmp_path: Path) -> None:
    """Address, experiment and files are kept in the run's record, and in a `.runconfig` that is written of it."""
    request = read(tmp_path, "{tracking_uri: 'https://host:5000/x', experiment_name: e, files: ['outputs/**']}")
    spec = MirrorSpec(tracking_uri="https://host:5000/x", experiment_name="e", files=("outputs/**",))
    assert request.mlflow == spec
    assert RunRequest.from_record(request.to_record()) == request
    write_runconfig(request, tmp_path / "written.runconfig")
    assert read_request(tmp_path / "written.runconfig").mlflow == spec


def test_a_record_from_before_has_no_mirror(tmp_path: Path) -> None:
    """A request that an older version kept is read as one without a mirror."""
    record: dict[str, Any] = read(tmp_path, "null").to_record()
    del record["mlflow"]
    assert RunRequest.from_record(record).mlflow is None


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{experiment_name: e}", "names no server"),
        ("{tracking_uri: 'sqlite:///x.db'}", "not the address of a server"),
        ("{tracking_uri: 'http://'}", "not the address of a server"),
        ("{tracking_uri: 'http://host:99999'}", "not the address of a server"),
        ("{tracking_uri: 'http://ada:secret@host'}", "holds a user name or a password"),
        ("{tracking_url: 'http://host'}", "did you mean 'tracking_uri'"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, written: str, message: str) -> None:
    """The refusal names the place, and never repeats a password."""
    with pytest.raises(ConfigError, match=message) as caught:
        read(tmp_path, written)
    assert "train.yml" in str(caught.value)
    assert "secret" not in str(caught.value)
