"""Files and functions stay small, nothing lies in a drawer, and the repository's top level is the user's choice."""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for package in ("runner", "sidecar") for path in (ROOT / package).rglob("*.py"))
LINES_A_FILE = 400
LINES_A_FUNCTION = 60
DRAWERS = {"util", "utils", "helper", "helpers", "common", "misc"}
TOP_LEVEL = {"pyproject.toml", "runner", "sidecar", "tests", "configs", "README.md"}
TOP_LEVEL_BESIDE = {"LICENSE", "CHANGELOG.md", "Makefile", "docs"}


def tracked() -> list[str]:
    """Every path that git knows of, new ones included; what git ignores is nobody's business."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip("not a git checkout, so nothing tells the project's files from others")
    return done.stdout.split("\0")[:-1]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_and_functions_are_short(path: Path) -> None:
    """A file stays under 400 lines and a function under 60."""
    source = path.read_text(encoding="utf-8")
    assert len(source.splitlines()) < LINES_A_FILE
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno + 1 < LINES_A_FUNCTION, f"{node.name} is too long"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_sidecar_reads_under_3_9_and_runner_under_3_10(path: Path) -> None:
    """Nothing uses grammar that the oldest Python it runs on lacks."""
    oldest = (3, 9) if path.is_relative_to(ROOT / "sidecar") else (3, 10)
    ast.parse(path.read_text(encoding="utf-8"), feature_version=oldest)


def test_no_drawers() -> None:
    """No file or folder is called utils, helpers, common or misc."""
    for path in tracked():
        assert not DRAWERS.intersection(Path(path).with_suffix("").parts), path


def test_top_level_is_the_users_choice() -> None:
    """At the top lie only the agreed names, and dotfiles."""
    names = {path.split("/")[0] for path in tracked()}
    assert {name for name in names if not name.startswith(".")} <= TOP_LEVEL | TOP_LEVEL_BESIDE
