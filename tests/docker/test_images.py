"""The image of a job: built once, found again by its content, and nothing of this machine's secrets in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.docker import images
from tests.docker.builders import BUILDERS, choose
from tests.docker.stage import LIMIT_S, DockerStage
from tests.doubles.node_lab import wait_until
from tests.doubles.tiny_wheel import make_wheel

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


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


def test_failed_installation_names_the_package(stage: DockerStage, wheels: Path) -> None:
    """pip's own words in one line, exit 3, and neither a container nor an image is left."""
    config = stage.config("print(1)", environment={"python": {"pip_requirements": ["no-such-package-anywhere"]}})
    record = stage.run_to_end(config)
    assert record["exit_code"] == 3, stage.explain(record)
    assert "no-such-package-anywhere" in record["failure"]["summary"]
    assert "No matching distribution" in stage.workspace.run(record["run_id"]).image_build_log.read_text()


@pytest.mark.parametrize("builder", BUILDERS)
def test_dockerfile_is_built_once(stage: DockerStage, builder: str) -> None:
    """By either builder: a context with a Dockerfile; a file that it ignores changes nothing, another one does."""
    choose(stage, builder)
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


@pytest.mark.parametrize("builder", BUILDERS)
def test_failed_dockerfile_leaves_nothing(stage: DockerStage, builder: str) -> None:
    """By either builder: the step's own words, exit 3, and no image without a name."""
    choose(stage, builder)
    dockerfile = f"FROM {images.PYTHON_39}\nRUN echo {builder} > /one\nRUN echo no such thing; exit 7\n"
    record = stage.run_to_end(stage.config("print(1)", image_keys={"base_dockerfile": dockerfile}))
    assert record["exit_code"] == 3, stage.explain(record)
    assert "7" in record["failure"]["summary"]
    assert "no such thing" in stage.workspace.run(record["run_id"]).image_build_log.read_text()


def test_image_that_is_nowhere(stage: DockerStage) -> None:
    """An image that is neither here nor to be pulled: exit 3, its name, and what to try."""
    record = stage.run_to_end(stage.config("print(1)", image="registry.invalid/none:1"))
    assert record["exit_code"] == 3, stage.explain(record)
    assert "registry.invalid/none:1 is not on this machine and cannot be pulled" in record["failure"]["summary"]


@pytest.mark.parametrize("builder", [*BUILDERS, "packages"])
def test_canceled_build_leaves_nothing(stage: DockerStage, wheels: Path, builder: str) -> None:
    """While a silent step of a build runs: Canceled at once, and neither a container nor an image is left."""
    choose(stage, "engine" if builder == "packages" else builder)
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
    stage.remove_built_images()
