"""`runner environment` and `runner doctor` against a real engine."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from tests.docker import images
from tests.docker.stage import DockerStage
from tests.doubles.tiny_wheel import make_wheel

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]


def test_images_are_built_listed_and_pruned(stage: DockerStage) -> None:
    """Built ahead of any run, found by the next build, listed with its size, and gone after prune."""
    make_wheel(stage.folder / "wheels", "tiny_answer")
    stage.environ.update(PIP_FIND_LINKS=str(stage.folder / "wheels"), PIP_NO_INDEX="1", PIP_CONFIG_FILE=os.devnull)
    config = stage.config("import tiny_answer", environment={"python": {"pip_requirements": ["tiny-answer"]}})
    built = stage.json("environment", "build", str(config), "-o", "json")
    again = stage.json("environment", "build", str(config), "-o", "json")
    assert (built["cache_hit"], again) == (False, {**built, "cache_hit": True})
    (listed,) = _listed(stage, built["key"])
    assert (listed["kind"], listed["is_used"]) == ("image", False)
    assert listed["size_bytes"] > 50 * 2**20
    assert stage.complete(config)["environment"]["cache_hit"] is True
    pruned = stage.run("environment", "prune")
    assert f"removed image {built['key'][:12]}" in pruned.stdout
    assert not _listed(stage, built["key"])


def _listed(stage: DockerStage, key: str) -> list[dict[str, Any]]:
    """What `list` says of one; other tests' images may be there as well."""
    return [record for record in stage.json("environment", "list", "-o", "json") if record["key"] == key]


def test_prune_removes_what_a_crash_left(stage: DockerStage) -> None:
    """And `runner doctor` had named it before."""
    ours = {"io.scriptrun.run": "gone_1700000000_0123abcd", "io.scriptrun.workspace": str(stage.workspace.root)}
    stage.client.create_container(images.PYTHON_39, ["true"], name="left-behind", labels=ours)
    findings = {found["name"]: found for found in json.loads(stage.run("doctor", "-o", "json").stdout)}
    assert "left-behind" in findings["docker leftovers"]["detail"]
    assert findings["docker engine"]["level"] == "ok"
    assert "live-restore" in findings["docker restarts"]["detail"]
    assert "removed left-behind, which a crash had left" in stage.run("environment", "prune").stdout


def test_virtual_environments_are_cleared_too(stage: DockerStage) -> None:
    """Also where there is no engine at all."""
    stage.environ["DOCKER_HOST"] = f"unix://{stage.folder}/nowhere"
    make_wheel(stage.folder / "wheels")
    stage.environ.update(PIP_FIND_LINKS=str(stage.folder / "wheels"), PIP_NO_INDEX="1", PIP_CONFIG_FILE=os.devnull)
    stage.write("src/job.py", "import tiny")
    keys = "environment: {python: {pip_requirements: [tiny]}}"
    stage.write("plain.yml", f"source_directory: src\nscript: job.py\n{keys}\n")
    key = stage.json("environment", "build", "plain.yml", "-o", "json")["key"]
    (listed,) = stage.json("environment", "list", "-o", "json")
    assert (listed["kind"], listed["key"]) == ("venv", key)
    assert f"removed venv {key[:12]}" in stage.run("environment", "prune").stdout
    assert not (stage.workspace.environments / key).exists()
