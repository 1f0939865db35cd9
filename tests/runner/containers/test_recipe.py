"""What makes an image another one, and what does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runner.containers.recipe import Recipe, context_hash, ignore_patterns

_RECIPE = Recipe(name="lab", base_image="python:3.12", pip="numpy\npandas==2.0\n")


def _key(recipe: Recipe, base: str = "sha256:0", platform: str = "linux/amd64") -> str:
    return recipe.dependencies_key(base, platform)


@pytest.mark.parametrize(
    "same",
    [
        replace(_RECIPE, name="other"),
        replace(_RECIPE, pip="# of the lab\nnumpy  \n\npandas==2.0\n"),
        replace(_RECIPE, base_image="python:another-tag-of-the-same-image"),
    ],
)
def test_names_and_comments_change_nothing(same: Recipe) -> None:
    """No build is wanted for what installs the same."""
    assert _key(same) == _key(_RECIPE)


def test_contents_base_and_platform_do() -> None:
    """Each of them is in the key."""
    other = replace(_RECIPE, pip="numpy\npandas==2.1\n")
    keys = {_key(_RECIPE), _key(other), _key(_RECIPE, base="sha256:1"), _key(_RECIPE, platform="linux/arm64")}
    assert len(keys) == 4


def test_conda_file_counts_without_its_name() -> None:
    """`name:` and `prefix:` say where conda would put it elsewhere."""
    one, two = (replace(_RECIPE, pip=None, conda=f"name: {name}\ndependencies: [numpy]\n") for name in ("a", "b"))
    assert _key(one) == _key(two)
    assert _key(one) != _key(replace(one, conda="name: a\ndependencies: [scipy]\n"))


def test_context_counts_what_the_build_sees(tmp_path: Path) -> None:
    """Contents, names, the right to run and links; nothing of what .dockerignore leaves out."""
    (tmp_path / "Dockerfile").write_text("FROM x\n")
    (tmp_path / ".dockerignore").write_text("# noise\n*.log\n")
    (tmp_path / "program").write_text("echo\n")
    patterns = ignore_patterns(str(tmp_path))
    seen = [context_hash(str(tmp_path), patterns)]
    (tmp_path / "noise.log").write_text("1")
    assert context_hash(str(tmp_path), patterns) == seen[0]
    (tmp_path / "program").chmod(0o755)
    seen.append(context_hash(str(tmp_path), patterns))
    (tmp_path / "link").symlink_to("program")
    seen.append(context_hash(str(tmp_path), patterns))
    assert len(set(seen)) == 3
