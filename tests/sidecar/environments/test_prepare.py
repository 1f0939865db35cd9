"""Environments are really built, once by content, and whatever goes wrong leaves no half of one."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from sidecar.contract import settings
from sidecar.environments import BuildFailed, Environment, prepare
from tests.doubles.tiny_wheel import make_wheel

_VALUE = "import tiny; print(tiny.VALUE)"


def _spec(
    text: str | None = None, *, folder: Path | None = None, conda: str | None = None, **more: Any
) -> dict[str, Any]:
    return {
        "user_managed": False,
        "interpreter_path": None,
        "pip_requirements": {"text": text, "folder": folder and str(folder)} if text is not None else None,
        "conda_dependencies": {"text": conda} if conda is not None else None,
        **more,
    }


def _tiny(tmp_path: Path, line: str = "tiny==1.0") -> dict[str, Any]:
    make_wheel(tmp_path / "wheels")
    return _spec(f"--no-index\n--find-links {tmp_path / 'wheels'}\n{line}\n")


def _no_log() -> BinaryIO:
    raise AssertionError("nothing is built, so there is no log")


def _log(tmp_path: Path) -> Callable[[], BinaryIO]:
    return lambda: open(tmp_path / "20_image_build_log.txt", "ab", buffering=0)


def _run(environment: Environment, code: str) -> str:
    return subprocess.run([environment.interpreter, "-c", code], check=True, stdout=subprocess.PIPE, text=True).stdout


def _left(cache: Path) -> list[str]:
    """What is in the cache but locks and the last failures."""
    return sorted(path.name for path in cache.iterdir() if path.suffix not in (".lock", ".failed"))


@pytest.fixture(autouse=True)
def _only_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes uv off the PATH where there is one: it has a test of its own."""
    folders = os.environ["PATH"].split(os.pathsep)
    monkeypatch.setenv("PATH", os.pathsep.join(f for f in folders if not os.path.exists(os.path.join(f, "uv"))))
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)


@pytest.mark.parametrize(
    "spec", [_spec(), _spec("a==1", user_managed=True)], ids=["nothing to install", "user-managed"]
)
def test_an_interpreter_is_used_as_it_is(tmp_path: Path, spec: dict[str, Any]) -> None:
    """Nothing is built and nothing logged; the folder of the interpreter goes on PATH."""
    found = prepare(spec, cache=tmp_path / "cache", open_log=_no_log)
    assert found == Environment(sys.executable, None, None, os.path.dirname(sys.executable))
    assert not (tmp_path / "cache").exists()


def test_an_environment_is_built_once(tmp_path: Path) -> None:
    """The first time is a build with a log, the second a hit without; the package can be imported."""
    built = prepare(_tiny(tmp_path), cache=tmp_path / "cache", open_log=_log(tmp_path))
    assert (built.cache_hit, _run(built, _VALUE)) == (False, "1\n")
    assert prepare(_tiny(tmp_path), cache=tmp_path / "cache", open_log=_no_log) == built._replace(cache_hit=True)
    log = (tmp_path / "20_image_build_log.txt").read_text()
    assert "Successfully installed tiny-1.0" in log
    assert _left(tmp_path / "cache") == [built.key]


def test_pips_wheels_for_a_local_project(tmp_path: Path) -> None:
    """A wheel named by a relative path is found beside the requirements file, and its content decides."""
    make_wheel(tmp_path / "my wheels")
    spec = _spec("--no-index\n./my wheels/tiny-1.0-py3-none-any.whl", folder=tmp_path)
    first = prepare(spec, cache=tmp_path / "cache", open_log=_log(tmp_path))
    make_wheel(tmp_path / "my wheels", source="VALUE = 2\n")
    second = prepare(spec, cache=tmp_path / "cache", open_log=_log(tmp_path))
    assert (_run(first, _VALUE), _run(second, _VALUE)) == ("1\n", "2\n")


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    """The reason, the hint and the last lines come back; the next build starts from an empty place."""
    spec = _tiny(tmp_path, "no-such-package==9")
    with pytest.raises(BuildFailed, match="No matching distribution found for no-such-package==9") as caught:
        prepare(spec, cache=tmp_path / "cache", open_log=_log(tmp_path))
    assert caught.value.hint == "check the name and the version; is there a build for this Python?"
    assert any("no-such-package" in line for line in caught.value.last_lines)
    assert _left(tmp_path / "cache") == []


def test_an_environment_whose_python_is_gone_is_built_again(tmp_path: Path) -> None:
    """An upgrade of the system that removes the base Python does not leave a hit that cannot start."""
    built = prepare(_tiny(tmp_path), cache=tmp_path / "cache", open_log=_log(tmp_path))
    for name in ("python", "python3"):
        place = Path(built.bin) / name
        place.unlink()
        place.symlink_to("/nonexistent/python")
    again = prepare(_tiny(tmp_path), cache=tmp_path / "cache", open_log=_log(tmp_path))
    assert (again.cache_hit, _run(again, _VALUE)) == (False, "1\n")


def test_another_python_is_another_environment(tmp_path: Path) -> None:
    """Another interpreter path to the same Python shares; the key has the real one in it."""
    (tmp_path / "py").symlink_to(sys.executable)
    spec = _tiny(tmp_path)
    first = prepare(spec, cache=tmp_path / "cache", open_log=_log(tmp_path))
    linked = {**spec, "interpreter_path": os.path.realpath(sys.executable)}
    assert prepare(linked, cache=tmp_path / "cache", open_log=_no_log).key == first.key


def test_a_cache_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    """The place and the reason are in the message."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BuildFailed, match="cannot be written"):
        prepare(_tiny(tmp_path), cache=tmp_path / "file" / "cache", open_log=_no_log)


_BUILD = """
import json, pathlib, signal, sys
from sidecar.environments import BuildFailed, prepare
# A shell that runs the tests in the background makes them ignore Ctrl-C, and whoever they start as well.
signal.signal(signal.SIGINT, signal.default_int_handler)
spec, cache, log = json.loads(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
try:
    print(json.dumps(prepare(spec, cache=cache, open_log=lambda: open(log, "ab", buffering=0))))
except BuildFailed as error:
    print("failed:", error)
"""


def _start_builder(tmp_path: Path, spec: dict[str, Any], log: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-c", _BUILD, json.dumps(spec), str(tmp_path / "cache"), str(tmp_path / log)]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def test_concurrent_builders_build_once(tmp_path: Path) -> None:
    """Four processes at once: one builds and has a log, the other three wait and share."""
    spec = _tiny(tmp_path)
    builders = [_start_builder(tmp_path, spec, f"log{index}") for index in range(4)]
    found = [Environment(*json.loads(builder.communicate(timeout=60)[0])) for builder in builders]
    assert len({environment.key for environment in found}) == 1
    assert sorted(environment.cache_hit or False for environment in found) == [False, True, True, True]
    assert len(list(tmp_path.glob("log*"))) == 1


def test_those_who_wait_for_a_failure_share_it(tmp_path: Path) -> None:
    """Builders that waited do not fail one after the other: the recipe would fail for them as well."""
    spec = _tiny(tmp_path, "no-such-package")
    builders = [_start_builder(tmp_path, spec, f"log{index}") for index in range(4)]
    outputs = [builder.communicate(timeout=60)[0] for builder in builders]
    assert all(output.startswith("failed:") and "no-such-package" in output for output in outputs)
    assert len(list(tmp_path.glob("log*"))) == 1
    assert _left(tmp_path / "cache") == []


def _wait_until(condition: Callable[[], object], limit_s: float = 30) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


def _marked(tmp_path: Path) -> list[int]:
    wanted = f"{settings.MARK_BUILD}={tmp_path}".encode()
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if wanted in Path(f"/proc/{name}/environ").read_bytes():
                found.append(int(name))
    return found


@pytest.mark.parametrize("moment", ["venv", "install"])
def test_a_killed_builder_is_no_obstacle(tmp_path: Path, moment: str) -> None:
    """kill -9 in the middle: the next one ends what still builds, wipes what is left, and builds."""
    log = tmp_path / "log"
    builder = _start_builder(tmp_path, _tiny(tmp_path), log.name)
    sign = "-m venv" if moment == "venv" else "pip install"
    _wait_until(lambda: log.exists() and sign in log.read_text() and _marked(tmp_path))
    builder.send_signal(signal.SIGKILL)
    builder.communicate()
    found = prepare(_tiny(tmp_path), cache=tmp_path / "cache", open_log=_log(tmp_path))
    assert (found.cache_hit, _run(found, _VALUE)) == (False, "1\n")
    assert _marked(tmp_path) == []


def test_a_stopped_builder_stops_its_installer(tmp_path: Path) -> None:
    """Ctrl-C ends the build, removes the folder, and blames nobody."""
    log = tmp_path / "log"
    builder = _start_builder(tmp_path, _tiny(tmp_path), log.name)
    _wait_until(lambda: log.exists() and _marked(tmp_path))
    builder.send_signal(signal.SIGINT)
    assert builder.communicate(timeout=30)[0] == ""
    assert _left(tmp_path / "cache") == []
    assert _marked(tmp_path) == []
    assert not list((tmp_path / "cache").glob("*.failed"))


_UV = shutil.which("uv") or next((str(p) for p in [Path(sys.executable).with_name("uv")] if p.exists()), None)


@pytest.mark.skipif(_UV is None, reason="uv is neither on PATH nor beside this Python (pip install uv)")
def test_uv_builds_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv is taken when it is on PATH, obeys pip's variables, and reads the same requirements files."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "uv").symlink_to(str(_UV))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    make_wheel(tmp_path / "my wheels")
    make_wheel(tmp_path / "links", "other", source="VALUE = 3\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    (tmp_path / "base file.txt").write_text("other==1.0\n")
    spec = _spec('-r "base file.txt"\n./my wheels/tiny-1.0-py3-none-any.whl\n', folder=tmp_path)
    built = prepare(spec, cache=tmp_path / "cache", open_log=_log(tmp_path))
    assert _run(built, "import other, tiny; print(tiny.VALUE + other.VALUE)") == "4\n"
    assert "uv pip install" in (tmp_path / "20_image_build_log.txt").read_text()
    with pytest.raises(BuildFailed, match="no-such-package"):
        prepare(_spec("no-such-package"), cache=tmp_path / "cache", open_log=_log(tmp_path))
    assert _left(tmp_path / "cache") == [built.key]


_CONDA = """#!/bin/sh
# Only checks what we call; it resolves nothing. An environment of it is a link to a Python.
echo "stand-in: $0 $*"
while [ $# -gt 0 ]; do case "$1" in -p) prefix=$2; shift;; -f) file=$2; shift;; esac; shift; done
grep -q tensorflow "$file" && { echo "error: PackagesNotFoundError: tensorflow"; exit 1; }
mkdir -p "$prefix/bin" && grep -q python "$file" && ln -s "$REAL_PYTHON" "$prefix/bin/python"
exit 0
"""


@pytest.fixture
def conda(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a stand-in for a conda program on PATH; it only checks what we call."""

    def install(name: str) -> None:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / name).write_text(_CONDA)
        (tmp_path / "bin" / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
        monkeypatch.setenv("REAL_PYTHON", os.path.realpath(sys.executable))

    return install


@pytest.mark.parametrize(
    ("name", "command"), [("conda", "env create"), ("mamba", "env create"), ("micromamba", "create -y")]
)
def test_a_conda_file_is_given_to_conda(tmp_path: Path, conda: Callable[[str], None], name: str, command: str) -> None:
    """Each of the three is called its own way; the environment's name and comments do not enter the key."""
    conda(name)
    spec = _spec(conda="name: a\ndependencies:\n  - python=3.11\n")
    built = prepare(spec, cache=tmp_path / "cache", open_log=_log(tmp_path))
    assert (
        f"{name} {command} -p {tmp_path / 'cache'}/{built.key} -f" in (tmp_path / "20_image_build_log.txt").read_text()
    )
    renamed = _spec(conda="name: b\n# the same\ndependencies:\n  - python=3.11\n")
    assert prepare(renamed, cache=tmp_path / "cache", open_log=_no_log) == built._replace(cache_hit=True)
    assert _left(tmp_path / "cache") == [built.key]


@pytest.mark.parametrize(
    ("dependency", "message"), [("tensorflow", "PackagesNotFoundError"), ("numpy", "without Python")]
)
def test_a_conda_build_that_fails_leaves_nothing(
    tmp_path: Path, conda: Callable[[str], None], dependency: str, message: str
) -> None:
    """What conda refuses, and an environment without Python, are failures with a reason."""
    conda("conda")
    with pytest.raises(BuildFailed, match=message):
        prepare(_spec(conda=f"dependencies: [{dependency}]"), cache=tmp_path / "cache", open_log=_log(tmp_path))
    assert _left(tmp_path / "cache") == []


def test_a_conda_file_without_conda_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install, and what to use instead."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BuildFailed, match="conda, mamba or micromamba") as caught:
        prepare(_spec(conda="dependencies: [python]"), cache=tmp_path / "cache", open_log=lambda: io.BytesIO())  # type: ignore[return-value]
    assert "pip_requirements" in (caught.value.hint or "")
