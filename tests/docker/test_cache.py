"""`runner environment` and `runner doctor` against a real engine."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest

from runner.containers.build_steps import BuildSteps
from sidecar.contract import publish
from sidecar.contract.stores import EnvironmentsLayout, LayersLayout
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
    # As an engine leaves it that was killed over a step of its own builder, and a controller over a push.
    step = stage.client.create_container(images.PYTHON_39, ["true"], name="step")["Id"]
    environments = EnvironmentsLayout(stage.workspace.environments)
    environments.images.mkdir(parents=True)
    BuildSteps(environments.image_steps("key"), stage.address).note_container(step)
    pushed = f"127.0.0.1:1/scriptrun/{'0' * 32}"
    stage.client.tag(images.PYTHON_39, pushed, "latest")
    findings = {found["name"]: found for found in json.loads(stage.run("doctor", "-o", "json").stdout)}
    assert "left-behind" in findings["docker leftovers"]["detail"]
    assert findings["docker engine"]["level"] == "ok"
    assert "live-restore" in findings["docker restarts"]["detail"]
    said = stage.run("environment", "prune").stdout
    for name in ("left-behind", "step", f"{pushed}:latest"):
        assert f"removed {name}, which a crash had left" in said
    assert not stage.client.images(pushed)
    assert stage.client.images(images.PYTHON_39)


def test_kept_parts_of_images_are_cleared(stage: DockerStage) -> None:
    """Those of an image that is no more go while a run is under way, all others once none is."""
    layout = LayersLayout.of(stage.workspace.root)
    gone, there = "1" * 64, str(stage.client.inspect_image(images.PYTHON_39)["Id"]).rpartition(":")[2]
    for folder in (layout.blobs, layout.incoming, layout.image("").parent):
        folder.mkdir(parents=True)
    for key, layers in {gone: ["a", "b"], there: ["b", "c"]}.items():
        for part in (f"config-{key[:1]}", *layers):
            publish.write_whole(layout.blob(part), b"x" * 5000)
        described = {"config": [f"config-{key[:1]}", 5000], "layers": [[name, 5000] for name in layers]}
        publish.write_whole(layout.image(key), publish.to_json(described))
    run_id = stage.submit_and_wait(stage.config("import time; print('ready', flush=True); time.sleep(600)"))
    assert f"removed parts {gone[:12]}" in stage.run("environment", "prune").stdout
    assert {path.name for path in layout.blobs.iterdir()} == {f"config-{there[:1]}", "b", "c"}
    assert stage.run("cancel", run_id).returncode == 0
    stage.wait_ended(run_id)
    (layout.incoming / "half.push").touch()
    (listed,) = (found for found in stage.json("environment", "list", "-o", "json") if found["key"] == there)
    assert (listed["kind"], listed["size_bytes"] > 0) == ("parts", True)
    assert stage.run("environment", "prune").returncode == 0
    assert [path for path in layout.root.rglob("*") if path.is_file()] == []


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
