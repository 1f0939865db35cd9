"""A script cannot tell the bootstrap from plain Python."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

BOOTSTRAP = Path(__file__).parents[3] / "sidecar" / "injob" / "bootstrap.py"
BUFFERING = ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "PYTHONPATH")

SCRIPTS = {
    "names": "import sys\nprint(sorted(globals()), __file__, __spec__, __package__, __doc__, sys.argv, sys.path[0])",
    "docstring": '"""A script."""\nfrom __future__ import annotations\nprint(__doc__)\ndef f(x: Unknown): pass',
    "cause": "def f(x):\n    return 1 / x\ntry:\n    f(0)\nexcept Exception as e:\n    raise ValueError('ä') from e",
    "group": "import asyncio\nasync def f(): raise LookupError('q')\nasyncio.run(f())",
    "own_exception": "class E(Exception): pass\ndef a(): raise E('m')\na()",
    "syntax": "x = 1\nprint('a'\ny = 2\n",
    "exit_7": "import sys\nsys.exit(7)",
    "exit_text": "import sys\nprint('out')\nsys.exit('said on stderr')",
    "exit_none": "import sys\nsys.exit()",
    "exit_large": "import sys\nsys.exit(259)",
    "interrupted": "raise KeyboardInterrupt",
    "own_hook": "import sys\nsys.excepthook = lambda k, e, t: print(k, t.tb_lineno, t.tb_next)\nraise OSError(3, 'x')",
    "at_exit": (
        "import atexit, threading, time\natexit.register(print, 'atexit')\n"
        "threading.Thread(target=lambda: (time.sleep(0.1), print('thread'))).start()\n"
        "print(threading.active_count())\nraise RuntimeError('x')"
    ),
    "warning": "import warnings\nwarnings.warn('w')",
    "latin_1": b"# -*- coding: latin-1 -*-\nprint(ascii('\xe9'))",
    "processes": (
        "import multiprocessing as m\ndef square(x): return x * x\nif __name__ == '__main__':\n"
        "    for how in ('spawn', 'forkserver', 'fork'):\n"
        "        with m.get_context(how).Pool(2) as pool: print(how, pool.map(square, [1, 2, 3]))"
    ),
    "neighbour": "import sys, neighbour\nprint(neighbour.__file__, '__main__' in sys.modules, __name__)",
}


def run(command: list[str], folder: Path, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Runs `command` in `folder` with its output in files, as a job's is; gives back what is in them."""
    clean = {name: value for name, value in os.environ.items() if name not in BUFFERING}
    with open(folder / "out", "wb") as out, open(folder / "err", "wb") as err:
        done = subprocess.run(command, cwd=folder, env={**clean, **environ}, stdout=out, stderr=err, timeout=100)
    content = (folder / "out").read_bytes(), (folder / "err").read_bytes()
    return subprocess.CompletedProcess(command, done.returncode, *content)


def as_job(script: str, *arguments: str) -> list[str]:
    """The command that runs `script` as a job does."""
    return [sys.executable, str(BOOTSTRAP), script, *arguments]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A work folder whose name has a space and an umlaut."""
    place = tmp_path / "wörk folder"
    place.mkdir()
    (place / "neighbour.py").write_text("")
    return place


@pytest.mark.parametrize("name", SCRIPTS)
def test_same_output_and_exit_code_as_plain_python(name: str, folder: Path) -> None:
    """Standard output, standard error and exit code are byte for byte those of `python SCRIPT ARGS`."""
    source = SCRIPTS[name]
    (folder / "script.py").write_bytes(source if isinstance(source, bytes) else source.encode())
    plain = run([sys.executable, "script.py", "a b", "--c"], folder)
    job = run(as_job("script.py", "a b", "--c"), folder)
    assert (job.returncode, job.stdout, job.stderr) == (plain.returncode, plain.stdout, plain.stderr)


@pytest.mark.parametrize("script", ["missing.py", ".", "package"])
def test_what_only_python_can_run_or_refuse_is_left_to_it(script: str, folder: Path) -> None:
    """A missing script, a folder without and one with a `__main__.py` behave as with plain Python."""
    (folder / "package").mkdir()
    (folder / "package" / "__main__.py").write_text("print('in a folder')")
    plain, job = run([sys.executable, script], folder), run(as_job(script), folder)
    assert (job.returncode, job.stdout, job.stderr) == (plain.returncode, plain.stdout, plain.stderr)


def test_script_in_a_subfolder_imports_its_neighbours(folder: Path) -> None:
    """`sys.path` starts with the script's folder, also through a link to the script."""
    (folder / "deep").mkdir()
    (folder / "deep" / "beside.py").write_text("print('found')")
    (folder / "deep" / "script.py").write_text("import beside")
    (folder / "link.py").symlink_to("deep/script.py")
    assert run(as_job("deep/script.py"), folder).stdout == b"found\n"
    assert run(as_job("link.py"), folder).stdout == b"found\n"


def test_raised_record_is_there_before_the_traceback_is_printed(folder: Path) -> None:
    """Whoever reads the traceback finds type, message and time of the exception on disk."""
    hook = "import os, sys\nsys.excepthook = lambda *a: print(open(os.environ['RUNNER_RAISED_FILE']).read())\n"
    (folder / "script.py").write_text(hook + "import json\njson.loads('{')")
    done = run(as_job("script.py"), folder, RUNNER_RAISED_FILE=str(folder / "raised.json"))
    record = json.loads(done.stdout)
    assert record["type"] == "json.decoder.JSONDecodeError"
    assert record["message"].startswith("Expecting property name")
    assert record["at_ns"] > 0 < record["monotonic_ns"]


def test_leaving_with_a_code_is_recorded_like_an_exception(folder: Path) -> None:
    """Under MPI the abort that follows may end the process before anybody sees its exit code."""
    (folder / "script.py").write_text("import sys; sys.exit(3)")
    assert run(as_job("script.py"), folder, RUNNER_RAISED_FILE=str(folder / "raised.json")).returncode == 3
    record = json.loads((folder / "raised.json").read_text())
    assert (record["type"], record["message"]) == ("SystemExit", "3")


@pytest.mark.parametrize("source", ["import sys; sys.exit(0)", "import os\nif os.fork() == 0: 1/0\nos.wait()", "pass"])
def test_no_raised_record_where_the_script_raised_nothing(source: str, folder: Path) -> None:
    """A good end is no exception, and neither is what ends a forked child."""
    (folder / "script.py").write_text(source)
    run(as_job("script.py"), folder, RUNNER_RAISED_FILE=str(folder / "raised.json"))
    assert not (folder / "raised.json").exists()


def test_exception_that_cannot_be_described_still_ends_as_in_plain_python(folder: Path) -> None:
    """A broken `__str__` costs the message, nothing else; an unwritable record costs the record."""
    (folder / "script.py").write_text("class E(Exception):\n    def __str__(self): 1/0\nraise E")
    plain = run([sys.executable, "script.py"], folder)
    job = run(as_job("script.py"), folder, RUNNER_RAISED_FILE="/no/such/folder/raised.json")
    assert (job.returncode, job.stderr) == (plain.returncode, plain.stderr)


def test_failing_rank_tells_mpi_to_abort(folder: Path) -> None:
    """With mpi4py loaded the abort is armed with the failure, so that ranks in a collective do not hang."""
    (folder / "mpi4py").mkdir()
    (folder / "mpi4py" / "__init__.py").touch()
    (folder / "mpi4py" / "MPI.py").touch()
    (folder / "mpi4py" / "run.py").write_text("def set_abort_status(status): print('abort', repr(status))")
    (folder / "script.py").write_text("import mpi4py.MPI, sys\nsys.exit(5)")
    assert run(as_job("script.py"), folder).stdout == b"abort SystemExit(5)\n"


def test_children_find_azureml_and_write_live(folder: Path) -> None:
    """A Python that the script starts can import azureml, and its output is not held back; PYTHONPATH is kept."""
    child = "import os, sys, azureml.core; print(sys.path[1] == '/kept', sys.stdout.write_through)"
    (folder / "script.py").write_text(f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {child!r}])")
    assert run(as_job("script.py"), folder, PYTHONPATH="/kept").stdout == b"True True\n"


def test_installed_azureml_comes_first(folder: Path) -> None:
    """An `azureml` that the user brought is the one that the script gets."""
    (folder / "azureml.py").write_text("print('mine')")
    (folder / "script.py").write_text("import azureml")
    assert run(as_job("script.py"), folder).stdout == b"mine\n"


def test_starts_nearly_as_fast_as_plain_python(folder: Path) -> None:
    """The bootstrap loads no module of the standard library that Python has not loaded itself, but a built-in few."""
    (folder / "script.py").write_text("import sys\nprint(*sorted(sys.modules))")
    plain = set(run([sys.executable, "-S", "script.py"], folder).stdout.decode().split())
    command = as_job("script.py")
    more = set(run([command[0], "-S", *command[1:]], folder).stdout.decode().split()) - plain
    assert {name for name in more if not name.startswith("scriptrun_job")} <= {
        *("__future__", "_signal", "_thread", "atexit", "posix", "stat", "_stat", "time"),
        *("os", "os.path", "posixpath", "genericpath", "_collections_abc"),  # -S leaves these out; `site` loads them.
    }


OLDEST = textwrap.dedent(
    """
    import ast, pathlib, sys
    for path in pathlib.Path(sys.argv[1]).rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
    """
)


def test_everything_shipped_into_jobs_reads_under_3_8() -> None:
    """The in-job code keeps to the grammar of Python 3.8."""
    subprocess.run([sys.executable, "-c", OLDEST, str(BOOTSTRAP.parent)], check=True)


def test_azureml_of_the_job_wins_over_an_installed_one(tmp_path: Path) -> None:
    """A real azureml-core among the installed packages, which would find no Azure, hides nothing."""
    installed = tmp_path / "site-packages" / "azureml"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("raise SystemExit('the installed one')")
    (tmp_path / "script.py").write_text("from azureml.core import Run\nprint(Run.__module__)")
    done = run(as_job("script.py"), tmp_path, PYTHONPATH=str(installed.parent))
    assert (done.returncode, done.stdout) == (0, b"scriptrun_job.run\n")
