import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import click
import pytest

from runner.cli.main import ENTRIES, LazyGroup, command, run
from runner.version import VERSION
from tests.doubles.run_folders import command_line

ROOT = Path(__file__).parents[3]


def ask(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command_line(*arguments), env={**os.environ, **environ}, capture_output=True, text=True)


def test_help_lists_every_command_and_loads_none() -> None:
    """The overview names the commands a person may type, and imports no subcommand."""
    code = "import sys; from runner.cli.main import run; run(['--help'])\n"
    code += "print([name for name in sys.modules if name.startswith('runner.')])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout
    assert all(f"  {name} " in out for name, entry in ENTRIES.items() if not entry.is_hidden)
    assert "controller" not in out
    assert eval(out.splitlines()[-1]) == ["runner.version", "runner.cli", "runner.errors", "runner.cli.main"]


def test_every_entry_can_be_loaded() -> None:
    """Every name in the table leads to a command whose help has a first line."""
    assert isinstance(command, LazyGroup)
    for name in ENTRIES:
        found = command.get_command(click.Context(command), name)
        assert found is not None and found.get_short_help_str(), name


def test_version_is_that_of_the_package() -> None:
    """`--version`, the module and the package's metadata agree."""
    assert metadata.version("scriptrun") == VERSION
    assert ask("--version").stdout == f"runner {VERSION}\n"


@pytest.mark.parametrize(
    "arguments", [["statsu"], ["--nope"], ["logs"], ["logs", "x", "--rank", "a"], ["history", "lits"]]
)
def test_wrong_usage_is_exit_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage says what is wrong on standard error, and exits with 2."""
    assert run(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "Error:" in captured.err


def test_mistyped_command_is_recognised(capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped command is answered with the one that was probably meant."""
    run(["statsu"])
    assert "did you mean 'status'?" in capsys.readouterr().err


def test_error_becomes_message_and_exit_code(tmp_path: Path) -> None:
    """An error of the tree is one message that begins with the program's name, and its exit code."""
    done = ask("status", "nope", RUNNER_WORKSPACE=str(tmp_path))
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("runner: no run 'nope' in ")


def test_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """A pipe that is closed early ends the command quietly."""
    with subprocess.Popen(command_line("--help"), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        said = process.stderr.read()
    assert (said, process.returncode) == (b"", 141)


def test_python_names_are_lazy() -> None:
    """Importing the package loads nothing of it but its version."""
    code = "import sys, runner; print(runner.__version__, [m for m in sys.modules if m.startswith('runner.')])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT).stdout
    assert out == f"{VERSION} ['runner.version']\n"


def test_an_option_of_the_script_is_told_where_it_belongs(capsys: pytest.CaptureFixture[str]) -> None:
    """Behind `--`, which a person forgets."""
    assert run(["submit", "train.yml", "--epochs", "3"]) == 2
    assert "runner submit CONFIG -- --epochs" in capsys.readouterr().err
