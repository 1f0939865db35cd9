"""Imports go down the floors of docs/architecture.md, never up, never in a circle."""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "sidecar"
IN_JOB = SHIPPED / "injob"
SIDECAR_MAY_IMPORT = {*sys.stdlib_module_names, "sidecar", "psutil", "watchdog"}
# Loaded only by the command that needs them, so that `runner --help` and `submit` stay quick.
HEAVY = {"asyncio", "docker", "jmespath", "mpi4py", "paramiko", "pathspec", "psutil", "sqlite3", "watchdog", "yaml"}


def modules(package: str) -> dict[str, Path]:
    """The package's modules by dotted name; the code inside a job, which ships alone, left out."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        if IN_JOB not in path.parents:
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


ALL = modules("runner") | modules("sidecar")


def is_for_types(node: ast.AST) -> bool:
    """Whether `node` is an `if TYPE_CHECKING:`, which no running program enters."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports(path: Path, *, for_types: bool = True) -> Iterator[str]:
    """Every module that `path` imports, also inside functions; `from package import module` counts as that module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    left_out = (
        set() if for_types else {id(n) for block in ast.walk(tree) if is_for_types(block) for n in ast.walk(block)}
    )
    for node in ast.walk(tree):
        if id(node) in left_out:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in ALL else str(node.module) for name in whole)


def floors() -> dict[str, int]:
    """Floor by module name, out of the table in docs/architecture.md; a package stands for what is in it."""
    table = re.search(r"## Floors\n.*?```\n(.*?)```", (ROOT / "docs/architecture.md").read_text(), re.DOTALL)
    assert table is not None
    found = {}
    for line in re.sub(r"\n {2,}", "  ", table[1]).splitlines():  # A long line goes on in the next.
        if line[0].isdigit():
            for place in re.findall(r"\b(?:runner|sidecar)/[\w/.]*", line):
                name = place.removesuffix(".py").rstrip("/").replace("/", ".")
                found[name.removesuffix(".__init__")] = int(line[0])
    return found


FLOORS = floors()


def floor_of(module: str) -> int:
    """The floor of `module`: that of the longest name in the table that it is, or lies in."""
    if module == "runner":
        return FLOORS["runner"]
    fitting = [name for name in FLOORS if module == name or (module.startswith(name + ".") and name != "runner")]
    assert fitting, f"{module} is on no floor: give it one in docs/architecture.md"
    return FLOORS[max(fitting, key=len)]


@pytest.mark.parametrize("module", modules("runner"))
def test_runner_imports_go_down(module: str) -> None:
    """A module of the runner imports its own floor and those below, and of the sidecar only the contract."""
    for imported in imports(ALL[module]):
        if imported.split(".")[0] not in ("runner", "sidecar"):
            continue
        if imported.startswith("sidecar"):
            assert imported.startswith("sidecar.contract"), f"{module} reaches into {imported}"
        assert floor_of(imported) <= floor_of(module), f"{module} imports {imported}, which is above it"
        assert imported != "runner", f"{module} imports the package that it is part of"


@pytest.mark.parametrize("module", modules("sidecar"))
def test_sidecar_ships_alone(module: str) -> None:
    """The sidecar imports itself, the standard library, psutil and watchdog; its contract imports only the contract."""
    for imported in imports(ALL[module]):
        assert imported.split(".")[0] in SIDECAR_MAY_IMPORT, f"{module} imports {imported}"
        if module.startswith("sidecar.contract") and imported.startswith("sidecar"):
            assert imported.startswith("sidecar.contract"), f"{module} imports {imported}, which is above it"


def test_imports_make_no_circle() -> None:
    """No module is reached again from what it imports, be it inside a function; types alone may refer to each other."""
    graph = {
        name: {other for other in imports(path, for_types=False) if other in ALL and other != name}
        for name, path in ALL.items()
    }
    for name in graph:  # A package's __init__ gathers its modules; whoever imports one of them means that one.
        graph[name].discard(name.rpartition(".")[0])
    graphlib.TopologicalSorter(graph).prepare()


def test_in_job_code_imports_only_itself_and_the_standard_library() -> None:
    """What runs in the job's interpreter needs nothing installed there; mpi4py and MLflow are used where they are."""
    for path in IN_JOB.rglob("*.py"):
        tops = {name.split(".")[0] for name in imports(path)}
        foreign = tops - sys.stdlib_module_names - {"scriptrun_job"}
        allowed = {"scriptrun_mlflow", "mlflow"} if path.parent.name == "scriptrun_mlflow" else set()
        assert foreign <= ({"mpi4py"} if path.name == "outcome.py" else allowed), path


def test_mlflow_is_loaded_by_its_stores_alone() -> None:
    """What MLflow loads by itself, and what reads records, imports no MLflow."""
    for name in ("plugin", "records", "views"):
        tops = {found.split(".")[0] for found in imports(IN_JOB / "site" / "scriptrun_mlflow" / f"{name}.py")}
        assert "mlflow" not in tops or name == "plugin"


def test_command_loads_nothing_heavy() -> None:
    """Importing the command's door loads none of the libraries that only some commands need."""
    script = "import sys, runner.cli.main; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not HEAVY.intersection(done.stdout.split())
