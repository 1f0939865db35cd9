"""What a build needs to reach packages gets there, by every way of building, and stays out of the image."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.docker import images
from tests.docker.builders import BUILDERS, choose
from tests.docker.engine import Engine
from tests.docker.stage import DockerStage
from tests.doubles.package_index import LOGIN, make_certificate
from tests.doubles.tiny_wheel import make_wheel

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

_PROXY = "http://canary:canary-proxy@proxy.invalid:3128"
# A conda that is one file, as micromamba is: it takes down how it was called, and makes the environment.
_MICROMAMBA = """#!/bin/sh
echo "micromamba $*"
[ "$1 $2 $3 $5" = "create -y -p -f" ] || exit 2
python3 -m venv --without-pip --system-site-packages "$4" && cp "$6" "$4/made-of.yml"
"""


def _expect_no_canary(stage: DockerStage, name: str) -> None:
    """Neither in what the engine tells of the image, nor in any of its files."""
    told = json.dumps(stage.client.inspect_image(name)) + json.dumps(stage.client.history(name))
    assert "canary" not in told
    archive = stage.folder / "image.tar"
    with open(archive, "wb") as stream:
        for piece in stage.client.get_image(name):
            stream.write(piece)
    assert subprocess.run(["grep", "-c", "canary", str(archive)], capture_output=True, text=True).stdout == "0\n"
    archive.unlink()


@pytest.fixture
def index(stage: DockerStage, engine: Engine) -> Iterator[str]:
    """The address of a company's index with a package, on the engine's own loopback."""
    make_wheel(stage.folder / "index/simple/tiny-answer", "tiny_answer", source="ANSWER = 42\n")
    certificate = make_certificate(stage.folder)
    argv = [sys.executable, "-m", "tests.doubles.package_index", str(stage.folder / "index"), str(certificate)]
    with subprocess.Popen(engine.enter(argv), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        yield f"https://{LOGIN}@127.0.0.1:{int(server.stdout.readline())}/simple/"
        server.kill()


def test_private_index_is_reached_and_stays_outside(stage: DockerStage, index: str) -> None:
    """A package from an index with a password and a company's certificate, past a proxy; the image knows of none."""
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        stage.environ.pop(name, None)
    stage.environ.update(
        PIP_INDEX_URL=index,
        PIP_CONFIG_FILE=os.devnull,
        REQUESTS_CA_BUNDLE=str(stage.folder / "company.pem"),
        HTTPS_PROXY=_PROXY,
        NO_PROXY="127.0.0.1",
    )
    stage.environ.pop("PIP_CERT", None)
    keys = {"environment": {"python": {"pip_requirements": ["tiny-answer"]}}}
    record = stage.complete(stage.config("import tiny_answer; print(tiny_answer.ANSWER)", **keys))
    assert stage.driver_log(record) == "42\n"
    assert "canary-index" not in stage.workspace.run(record["run_id"]).image_build_log.read_text()
    name = f"scriptrun/environment:{record['environment']['key']}"
    _expect_no_canary(stage, name)
    stage.client.remove_image(name)


@pytest.mark.parametrize("builder", BUILDERS)
def test_dockerfile_sees_the_proxy_and_keeps_it_not(stage: DockerStage, builder: str) -> None:
    """By either builder; BuildKit's steps may ask for the company's certificates as well."""
    choose(stage, builder)
    (stage.folder / "ca.pem").write_text("canary-certificate")
    stage.environ.update(HTTPS_PROXY=_PROXY, REQUESTS_CA_BUNDLE=str(stage.folder / "ca.pem"))
    steps = 'RUN test "${HTTPS_PROXY#*proxy.}" = invalid:3128\n'
    if builder == "buildkit":
        steps += "RUN --mount=type=secret,id=certificates test -s /run/secrets/certificates\n"
    keys = {"image_keys": {"base_dockerfile": f"FROM {images.PYTHON_39}\n{steps}"}}
    record = stage.complete(stage.config("print(1)", **keys))
    name = f"scriptrun/environment:{record['environment']['key']}"
    _expect_no_canary(stage, name)
    stage.client.remove_image(name)


@pytest.mark.parametrize("where", ["lent", "in the image"])
def test_conda_dependencies(stage: DockerStage, where: str) -> None:
    """By the image's own conda, or one of this machine's that is lent: its environment is the job's Python."""
    program = stage.write("bin/micromamba", _MICROMAMBA)
    program.chmod(0o755)
    image_keys = {}
    if where == "lent":
        stage.environ["PATH"] = f"{program.parent}:{stage.environ['PATH']}"
    else:
        stage.write("image/Dockerfile", f"FROM {images.PYTHON_39}\nCOPY micromamba /usr/bin/\n")
        stage.write("image/micromamba", _MICROMAMBA).chmod(0o755)
        image_keys = {"build_context": "image"}
    stage.write("conda.yml", "name: lab\nchannels: [nodefaults]\ndependencies: [python=3.9]\n")
    keys = {"python": {"conda_dependencies_file": "conda.yml"}}
    script = "import sys; print(sys.prefix, open(sys.prefix + '/made-of.yml').read().split()[1])"
    config = stage.config(script, environment=keys, image_keys=image_keys)
    record = stage.complete(config)
    assert stage.driver_log(record) == "/opt/scriptrun/environment lab\n"
    assert "micromamba create -y -p /opt/scriptrun/environment" in (
        stage.workspace.run(record["run_id"]).image_build_log.read_text()
    )
    stage.write("conda.yml", "name: other\nchannels: [nodefaults]\ndependencies: [python=3.9]\n")
    assert stage.complete(config)["environment"] == {**record["environment"], "cache_hit": True}
    stage.remove_built_images()
