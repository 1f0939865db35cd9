"""Jobs in containers, end to end against a real engine."""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docker import images
from tests.docker.stage import DockerStage

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

_HELLO = """
import getpass, os, sys
print(sys.version_info[:2], os.getpid(), os.getuid(), getpass.getuser())
open("outputs/found.txt", "w").write(os.environ["HOME"])
open(os.path.expanduser("~/.cache-of-somebody"), "w").close()
"""


def test_python_3_9_runs_a_script(stage: DockerStage) -> None:
    """One process in an image whose Python is 3.9: its log, its outputs, its place in process_info.json."""
    record = stage.complete(stage.config(_HELLO))
    assert stage.driver_log(record).startswith("(3, 9)")
    run = stage.workspace.run(record["run_id"])
    assert (run.outputs / "found.txt").read_text().endswith("/home")
    info = json.loads(run.process_info.read_text())
    # A pid of the container's own namespace.
    assert info["pid_in_container"] < 100
    assert not run.image_build_log.exists()
    assert record["environment"] == {"interpreter": "/usr/bin/python3", "key": None, "cache_hit": None}


def test_sidecar_container_prepares_and_releases(stage: DockerStage) -> None:
    """Job preparation and release ran in a container of their own, and left the three files of a sidecar."""
    record = stage.complete(stage.config("import socket; print(socket.gethostname())"))
    run = stage.workspace.run(record["run_id"])
    started = run.start_cms("local-0").read_text()
    assert "supervisor pid" in started
    assert "sidecar container" in started
    assert stage.driver_log(record) == "local-0\n"
    assert "Entered working directory" in run.prep_cmd("local-0").read_text()
    assert "removed the working directory" in run.release_cmd("local-0").read_text()
    sentence = "Running job preparation in the sidecar container"
    assert sentence in run.job_prep_log("local-0").read_text()
    assert "in the sidecar container" in run.job_post_log("local-0").read_text()


def test_every_file_belongs_to_the_user(stage: DockerStage) -> None:
    """For a user that the image does not know: its uid has a name and a HOME inside, and owns all that comes out."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:  # pytest's own folders are root's alone.
        theirs = DockerStage(Path(folder), stage.address, stage.client)
        config = theirs.config(_HELLO)
        for path in (theirs.folder, *theirs.folder.rglob("*")):
            os.chown(path, 1000, 1000)
        done = theirs.type_as(1000, "submit", str(config), "--show-output", group=0)
        assert done.returncode == 0, done.stdout + done.stderr
        assert " 1000 " in done.stdout
        assert {path.lstat().st_uid for path in theirs.folder.rglob("*")} == {1000}
        assert list(theirs.workspace.runs.rglob("found.txt"))


def test_no_python_is_said(stage: DockerStage, image: Callable[[str], str]) -> None:
    """An image without Python: exit 3, one sentence, and nothing is left."""
    record = stage.run_to_end(stage.config("print(1)", image=image(images.NO_PYTHON)))
    assert (record["exit_code"], record["status"]) == (3, "Failed"), stage.explain(record)
    assert "has no Python 3.9 or newer" in record["failure"]["summary"]


def test_secrets_are_not_to_be_inspected(stage: DockerStage) -> None:
    """Variables of the job reach it, and stand in nothing that the engine tells of its containers."""
    script = "import os, time\nprint('ready', os.environ['TOKEN'], os.environ['OTHER'], flush=True)\ntime.sleep(600)"
    config = stage.config(
        script,
        environment_variables={"TOKEN": "canary-1"},
        runtime={"arguments": ["-e", "OTHER=canary-2"]},
    )
    run_id = stage.submit_and_wait(config)
    assert "ready canary-1 canary-2" in stage.workspace.run(run_id).driver_log(None).read_text()
    for name in stage.containers(run_id):
        told = json.dumps(stage.client.inspect_container(name)) + json.dumps(stage.client.top(name))
        assert "canary" not in told
    assert stage.run("cancel", run_id).returncode == 0
    assert stage.wait_ended(run_id)["status"] == "Canceled"


def test_options_of_docker_run(stage: DockerStage, tmp_path: Path) -> None:
    """Shared memory, a host name, a volume, a limit and an ENTRYPOINT as they were asked for."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/one").write_text("1")
    script = """
import os, socket
shm = os.statvfs("/dev/shm")
size = shm.f_blocks * shm.f_frsize // 2**20
print(size, socket.gethostname(), os.listdir("/data"), os.environ.get("FROM_ENTRYPOINT"))
"""
    dockerfile = f'FROM {images.PYTHON_39}\nENTRYPOINT ["/usr/bin/env", "FROM_ENTRYPOINT=yes"]\n'
    arguments = ["-v", f"{tmp_path}/data:/data:ro", "--hostname=here", "--memory", "512m"]
    runtime = {"shm_size": "96m", "arguments": arguments}
    record = stage.complete(stage.config(script, image_keys={"base_dockerfile": dockerfile}, runtime=runtime))
    assert stage.driver_log(record) == "96 here ['one'] yes\n"
    runtime["arguments"] = [*arguments, "--entrypoint", ""]
    record = stage.complete(stage.config(script, image_keys={"base_dockerfile": dockerfile}, runtime=runtime))
    assert stage.driver_log(record) == "96 here ['one'] None\n"


def test_entrypoint_that_runs_nothing_is_named(stage: DockerStage) -> None:
    """An ENTRYPOINT that ends without running its arguments: exit 3, and what to write to leave it out."""
    dockerfile = f'FROM {images.PYTHON_39}\nENTRYPOINT ["/bin/echo", "no thanks"]\n'
    record = stage.run_to_end(stage.config("print(1)", image_keys={"base_dockerfile": dockerfile}))
    assert record["exit_code"] == 3, stage.explain(record)
    assert "ENTRYPOINT" in record["failure"]["summary"]
    assert "--entrypoint" in record["failure"]["first"]["hint"]


def test_gpu_that_is_not_there_is_said(stage: DockerStage) -> None:
    """GPUs are asked of the engine, which knows no driver for them here: exit 3, in its own words.

    Podman passes over the question, so the runner itself says no.
    """
    record = stage.run_to_end(stage.config("print(1)", runtime={"arguments": ["--gpus", "all"]}))
    assert record["exit_code"] == 3, stage.explain(record)
    summary = record["failure"]["summary"]
    assert "passes over requests for GPUs" in summary or (
        "could not select device driver" in summary and "[[gpu]]" in summary
    )


def _flood(stage: DockerStage, megabytes: int) -> None:
    script = f"""
import os, random
rank = int(os.environ["RANK"])
piece = random.Random(rank).randbytes(2**20)
for number in range({megabytes}):
    os.write(1, piece)
"""
    config = stage.config(script, distributed_job_config={"type": "PyTorch", "process_count": 8})
    record = stage.complete(config)
    for rank in range(8):
        content = stage.workspace.run(record["run_id"]).driver_log(rank).read_bytes()
        assert content == random.Random(rank).randbytes(2**20) * megabytes


def test_eight_processes_flood_their_logs(stage: DockerStage) -> None:
    """Whatever eight processes print is in their logs, byte by byte."""
    _flood(stage, 3)


@pytest.mark.chaos
def test_eight_processes_print_50_megabytes_each(stage: DockerStage) -> None:
    """The same, as much as the issue asks for."""
    _flood(stage, 50)
