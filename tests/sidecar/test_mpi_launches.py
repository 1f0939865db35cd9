"""What an MPI launcher wants started is read as it means it."""

from __future__ import annotations

from pathlib import Path

from sidecar.mpi_launches import from_hydra


def test_a_proxy_in_a_folder_with_blanks(tmp_path: Path) -> None:
    """Hydra prints the path of its proxy unquoted."""
    log = tmp_path / "log"
    log.write_text("HYDRA_LAUNCH: /my env/bin/hydra_pmi_proxy --control-port 127.0.0.1:4 --proxy-id 0\n")
    assert from_hydra(log) is None
    with open(log, "a") as stream:
        stream.write("HYDRA_LAUNCH_END\n")
    assert from_hydra(log) == [["/my env/bin/hydra_pmi_proxy", "--control-port", "127.0.0.1:4", "--proxy-id", "0"]]
