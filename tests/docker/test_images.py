"""The image of a job: built once, found again by its content, and nothing of this machine's secrets in it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.docker import images
from tests.docker.stage import LIMIT_S, DockerStage
from tests.doubles.node_lab import wait_until
from tests.doubles.tiny_wheel import make_wheel

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


def _drives_buildkit(docker: str) -> bool:
    """Before version 23 the docker command brings what it needs for that itself."""
    told = subprocess.run([docker, "--version"], capture_output=True, text=True).stdout
    old = int(told.partition("version ")[2].partition(".")[0] or 99) < 23
    return old or subprocess.run([docker, "buildx", "version"], capture_output=True).returncode == 0


_BUILDKIT = [
    path for path in ("/usr/bin/docker", "/usr/local/bin/docker") if Path(path).exists() and _drives_buildkit(path)
]
_ANSWER = "import tiny_answer; print(tiny_answer.ANSWER)"


def _managed(stage: DockerStage, script: str, **keys: object) -> Path:
    return stage.config(script, environment={"python": {"pip_requirements": ["tiny-answer"]}}, **keys)


@pytest.fixture
def wheels(stage: DockerStage) -> Path:
    """A folder with a package that pip is told of, and nothing else to install from."""
    folder = stage.folder / "wheels"
    make_wheel(folder, "tiny_answer", source="ANSWER = 42\n")
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        stage.environ.pop(name, None)
    stage.environ.update(PIP_FIND_LINKS=str(folder), PIP_NO_INDEX="1", PIP_CONFIG_FILE=os.devnull)
    return folder


def test_packages_are_installed_once(stage: DockerStage, wheels: Path) -> None:
    """The first run builds and tells of it in `20_`; the second finds the image, whatever the script has become."""
    first = stage.complete(_managed(stage, _ANSWER))
    assert stage.driver_log(first) == "42\n"
    log = stage.workspace.run(first["run_id"]).image_build_log.read_text()
    assert "Successfully installed tiny-answer-1.0" in log
    second = stage.complete(_managed(stage, _ANSWER + "\nprint('changed')"))
    assert stage.driver_log(second) == "42\nchanged\n"
    assert not stage.workspace.run(second["run_id"]).image_build_log.exists()
    key = first["environment"]["key"]
    assert (second["environment"]["key"], second["environment"]["cache_hit"]) == (key, True)
    assert first["environment"]["cache_hit"] is False
    stage.client.remove_image(f"scriptrun/environment:{key}")


def test_access_to_the_index_stays_outside(stage: DockerStage, wheels: Path) -> None:
    """Proxies, index and certificates reach the installation; nothing of them is in the image or its history."""
    (stage.folder / "ca.pem").write_text("canary-certificate")
    stage.environ.update(
        HTTPS_PROXY="http://canary:canary-proxy@proxy.invalid:3128",
        PIP_EXTRA_INDEX_URL="https://canary:canary-index@index.invalid/simple",
        PIP_CERT=str(stage.folder / "ca.pem"),
    )
    record = stage.complete(_managed(stage, _ANSWER))
    name = f"scriptrun/environment:{record['environment']['key']}"
    told = json.dumps(stage.client.inspect_image(name)) + json.dumps(stage.client.history(name))
    assert "canary" not in told
    archive = stage.folder / "image.tar"
    with open(archive, "wb") as stream:
        for piece in stage.client.get_image(name):
            stream.write(piece)
    assert subprocess.run(["grep", "-c", "canary", str(archive)], capture_output=True, text=True).stdout == "0\n"
    stage.client.remove_image(name)


def test_failed_installation_names_the_package(stage: DockerStage, wheels: Path) -> None:
    """pip's own words in one line, exit 3, and neither a container nor an image is left."""
    config = stage.config("print(1)", environment={"python": {"pip_requirements": ["no-such-package-anywhere"]}})
    record = stage.run_to_end(config)
    assert record["exit_code"] == 3, stage.explain(record)
    assert "no-such-package-anywhere" in record["failure"]["summary"]
    assert "No matching distribution" in stage.workspace.run(record["run_id"]).image_build_log.read_text()


@pytest.mark.parametrize("builder", ["engine", *(["buildkit"] if _BUILDKIT else [])])
def test_dockerfile_is_built_once(stage: DockerStage, builder: str) -> None:
    """By either builder: a context with a Dockerfile; a file that it ignores changes nothing, another one does."""
    _choose(stage, builder)
    stage.write("image/Dockerfile", f"FROM {images.PYTHON_39}\nCOPY word.txt /word.txt\nRUN echo built-{builder}\n")
    stage.write("image/.dockerignore", "*.log\n")
    stage.write("image/word.txt", f"one {builder}")
    keys = {"image_keys": {"build_context": "image"}}
    script = "print(open('/word.txt').read())"
    first = stage.complete(stage.config(script, **keys))
    assert stage.driver_log(first) == f"one {builder}\n"
    assert f"built-{builder}" in stage.workspace.run(first["run_id"]).image_build_log.read_text()
    stage.write("image/noise.log", "noise")
    second = stage.complete(stage.config(script, **keys))
    assert second["environment"] == {**first["environment"], "cache_hit": True}
    assert not stage.workspace.run(second["run_id"]).image_build_log.exists()
    stage.write("image/word.txt", f"two {builder}")
    third = stage.complete(stage.config(script, **keys))
    assert stage.driver_log(third) == f"two {builder}\n"
    for record in (first, third):
        stage.client.remove_image(f"scriptrun/environment:{record['environment']['key']}")


@pytest.mark.parametrize("builder", ["engine", *(["buildkit"] if _BUILDKIT else [])])
def test_failed_dockerfile_leaves_nothing(stage: DockerStage, builder: str) -> None:
    """By either builder: the step's own words, exit 3, and no image without a name."""
    _choose(stage, builder)
    dockerfile = f"FROM {images.PYTHON_39}\nRUN echo {builder} > /one\nRUN echo no such thing; exit 7\n"
    record = stage.run_to_end(stage.config("print(1)", image_keys={"base_dockerfile": dockerfile}))
    assert record["exit_code"] == 3, stage.explain(record)
    assert "7" in record["failure"]["summary"]
    assert "no such thing" in stage.workspace.run(record["run_id"]).image_build_log.read_text()


def _choose(stage: DockerStage, builder: str) -> None:
    stage.environ["DOCKER_BUILDKIT"] = "0" if builder == "engine" else "1"
    if builder == "buildkit":
        stage.environ["PATH"] = f"{Path(_BUILDKIT[0]).parent}:{stage.environ['PATH']}"


def test_image_that_is_nowhere(stage: DockerStage) -> None:
    """An image that is neither here nor to be pulled: exit 3, its name, and what to try."""
    record = stage.run_to_end(stage.config("print(1)", image="registry.invalid/none:1"))
    assert record["exit_code"] == 3, stage.explain(record)
    assert "registry.invalid/none:1 is not on this machine and cannot be pulled" in record["failure"]["summary"]


@pytest.mark.parametrize("builder", ["engine", *(["buildkit"] if _BUILDKIT else []), "packages"])
def test_canceled_build_leaves_nothing(stage: DockerStage, wheels: Path, builder: str) -> None:
    """While a silent step of a build runs: Canceled at once, and neither a container nor an image is left."""
    _choose(stage, "engine" if builder == "packages" else builder)
    dockerfile, keys, word = f"FROM {images.PYTHON_39}\n", {}, "ready to sleep"
    if builder == "packages":
        # The installation itself sleeps.
        slow = "import sys, time\\nif sys.argv[-1:] == ['/run/scriptrun/requirements.txt']: time.sleep(600)\\n"
        dockerfile += f'RUN printf "{slow}" > /usr/lib/python3.9/sitecustomize.py\n'
        keys, word = {"environment": {"python": {"pip_requirements": ["tiny-answer"]}}}, "Python 3.9"
    else:
        dockerfile += f"RUN echo {builder} ready to sleep; sleep 600\n"
    run = stage.submit(str(stage.config("print(1)", image_keys={"base_dockerfile": dockerfile}, **keys)))
    log = run.image_build_log
    wait_until(lambda: log.exists() and log.read_text().count(word) > 0, limit_s=LIMIT_S, what=f"{word} in {log}")
    assert stage.run("cancel", run.root.name).returncode == 0
    assert stage.wait_ended(run.root.name)["status"] == "Canceled"
    for found in stage.client.images(filters={"label": "io.scriptrun.key"}):
        stage.client.remove_image(found["Id"], force=True)
