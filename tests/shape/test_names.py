"""Names of files and of environment variables are written in one place each."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONTRACT = ROOT / "sidecar" / "contract"
LAYOUTS = {CONTRACT / "layout.py", CONTRACT / "stores.py"}
SETTINGS = {CONTRACT / "settings.py", ROOT / "sidecar/injob/site/scriptrun_job/names.py"}
SOURCES = sorted(path for package in ("runner", "sidecar") for path in (ROOT / package).rglob("*.py"))

VARIABLE = re.compile(r"(?:RUNNER|AZUREML|AZ_BATCH|AZ_BATCHAI)_[A-Z_]+")
# What cannot be taken for an ordinary word: a name with an extension, a numbered log, or one of the two log folders.
FILE_NAME = re.compile(r"\d\d_\w[\w-]*|[\w-][\w.-]*\.(?:jsonl?|txt|log|lock|bell|idx|db)|azureml-logs|logs/azureml")


def texts(path: Path) -> Iterator[tuple[int, str]]:
    """(line, text) of every string in `path` but docstrings; of an f-string its fixed parts."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.lineno, node.value


@functools.cache
def run_file_names() -> set[str]:
    """Every unmistakable file name that the layout gives."""
    found = set()
    for path in LAYOUTS:
        for _, text in texts(path):
            found.update({text, text.rpartition("/")[2]} if FILE_NAME.fullmatch(text.rstrip("-")) else ())
    return found - {"", "azureml"}  # The latter is the package that users import as well.


def test_layout_names_what_a_run_is_known_for() -> None:
    """The set that the next test forbids elsewhere is not empty by mistake."""
    assert {"azureml-logs", "run.json", "70_driver_log.txt", "manifest.json"} <= run_file_names()


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path not in LAYOUTS], ids=lambda p: str(p.relative_to(ROOT))
)
def test_names_of_run_files_come_from_the_layout(path: Path) -> None:
    """No file but the layout types the name of a file of a run; sentences may mention one, and names of images."""
    names = run_file_names()
    for line, text in texts(path):
        parts = {text, *text.split("/")}
        is_image = ":" in text
        assert " " in text or is_image or not parts & names, (
            f"{path.relative_to(ROOT)}:{line}: {text!r} belongs to layout.py"
        )


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path not in SETTINGS], ids=lambda p: str(p.relative_to(ROOT))
)
def test_environment_variables_come_from_the_settings(path: Path) -> None:
    """No file but the settings types the name of an environment variable of the runner or of Azure ML."""
    for line, text in texts(path):
        assert not VARIABLE.fullmatch(text), f"{path.relative_to(ROOT)}:{line}: {text!r} belongs to settings.py"
