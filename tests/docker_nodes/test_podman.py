"""A host whose engine is Podman, at the socket where Docker's is expected."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker import images
from tests.docker.engine import Engine
from tests.docker_nodes.host_engine import HostEngine
from tests.docker_nodes.stage import NodesStage
from tests.lab.laboratory import Laboratory

pytestmark = [
    pytest.mark.docker,
    pytest.mark.lab,
    pytest.mark.chaos,
    pytest.mark.timeout(600),
    pytest.mark.skipif(shutil.which("podman") is None, reason="podman is not installed"),
]


class _HostPodman(HostEngine):
    """Podman's service, which is there for root and for user lab."""

    def argv(self, socket: str) -> list[str]:
        """With everything of it in the host's memory."""
        places = ["--root=/run/engine/images", "--runroot=/run/engine/run", "--runtime=/run/runtime"]
        service = ["system", "service", "--time=0", f"unix://{socket}"]
        return ["podman", *places, "--cgroup-manager=cgroupfs", "--events-backend=file", *service]


@pytest.fixture
def podman(tmp_path: Path, layers: Path, here: Engine) -> Iterator[NodesStage]:
    """A host with it."""
    with Laboratory.start(1) as lab:
        engine = _HostPodman(lab[0])
        engine.start()
        try:
            yield NodesStage(tmp_path, lab, here, [engine], layers=layers)
        finally:
            engine.stop()


def test_images_travel_to_podman(podman: NodesStage) -> None:
    """Whole ones, since it loads no part of one; a second image on the same base costs what is new; `clean` works."""
    podman.run_to_end(podman.config("print(1)"))
    (podman.folder / "added").mkdir()
    (podman.folder / "added/Dockerfile").write_text(f"FROM {images.PYTHON_39}\nRUN echo 2 > /added\n")
    keys = {"image": None, "image_keys": {"build_context": str(podman.folder / "added")}}
    record = podman.run_to_end(podman.config("print(open('/added').read())", **keys))
    assert record["status"] == "Completed", podman.explain(record)
    assert podman.layout(record).driver_log(None).read_text() == "2\n\n"
    assert "Podman" in podman.said(record)
    assert podman.clean()[0]["removed"]["images"] == 2
    podman.expect_nothing_left()


def test_a_container_that_podman_removed(podman: NodesStage) -> None:
    """The run ends as Failed, and says so."""
    run_id = podman.submit_and_wait(podman.config("import time\nprint('ready', flush=True)\ntime.sleep(600)"))
    with contextlib.closing(podman.engines[0].client()) as client:
        client.remove_container(f"{run_id}-lab1", force=True)
    record = podman.wait_ended(run_id)
    assert "was removed" in record["failure"]["summary"], podman.explain(record)
