"""The bundle: equal contents give equal bytes, and what fits no wheel is left out and said."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from runner.transports.bundle import BundleStore
from runner.transports.wheel_tags import NodePython, fits
from sidecar.contract.layout import WorkspaceLayout

NODE = NodePython(version=(3, 11), machine="x86_64", glibc=(2, 36))
ALIEN = NodePython(version=(3, 9), machine="riscv128", glibc=(2, 31))


@pytest.mark.parametrize(
    ("tag", "is_fitting"),
    [
        ("py3-none-any", True),
        ("py2.py3-none-any", True),
        ("cp36-abi3-manylinux_2_12_x86_64", True),
        ("cp36-abi3-manylinux_2_12_x86_64.manylinux2010_x86_64", True),
        ("cp312-abi3-manylinux_2_12_x86_64", False),
        ("cp311-cp311-manylinux2014_x86_64", True),
        ("cp310-cp310-manylinux2014_x86_64", False),
        ("cp311-cp311t-manylinux2014_x86_64", False),
        ("py3-none-manylinux_2_17_x86_64", True),
        ("py3-none-manylinux_2_39_x86_64", False),
        ("py3-none-manylinux_2_17_aarch64", False),
        ("py3-none-musllinux_1_2_x86_64", False),
        ("py3-none-macosx_11_0_arm64", False),
        ("py3-none-linux_x86_64", False),
        ("py2-none-any", False),
        ("rubbish", False),
    ],
)
def test_tags(tag: str, is_fitting: bool) -> None:
    """A wheel fits by Python, interface, machine and C library."""
    assert fits(tag, NODE) is is_fitting


def test_special_pythons_take_pure_wheels_only() -> None:
    """musl, PyPy and free-threaded interpreters load no library made for plain CPython and glibc."""
    musl = NodePython(version=(3, 11), machine="x86_64", glibc=None)
    free = NodePython(version=(3, 13), machine="x86_64", glibc=(2, 36), is_plain_cpython=False)
    assert not fits("py3-none-manylinux_2_17_x86_64", musl) and fits("py3-none-any", musl)
    assert not fits("cp36-abi3-manylinux_2_12_x86_64", free) and fits("py3-none-manylinux_2_17_x86_64", free)


def test_same_contents_same_bytes(tmp_path: Path) -> None:
    """Two workspaces make the same archive, with the sidecar and both libraries and no bytecode."""
    first, second = (BundleStore(WorkspaceLayout(tmp_path / name)).bundle_for(NODE) for name in "ab")
    assert first.sha256 == second.sha256 and first.path.read_bytes() == second.path.read_bytes()
    assert first.size_bytes == first.path.stat().st_size and first.extras == ("psutil", "watchdog")
    names = set(zipfile.ZipFile(first.path).namelist())
    assert {"sidecar/__main__.py", "sidecar/injob/bootstrap.py", "site/psutil/__init__.py"} <= names
    assert not any("__pycache__" in name or name.endswith(".pyc") for name in names)


def test_without_a_fitting_wheel_it_says_so(tmp_path: Path) -> None:
    """A node that no wheel here fits gets the sidecar alone, and a sentence for each library."""
    bundle = BundleStore(WorkspaceLayout(tmp_path)).bundle_for(ALIEN)
    assert bundle.extras == () and len(bundle.notes) == 2
    assert bundle.notes[1].startswith("watchdog: no wheel here fits Python 3.9 on riscv128")


def test_wheel_of_the_workspace_is_used(tmp_path: Path) -> None:
    """A person can put a wheel for foreign nodes into `<workspace>/wheels`; a broken one is passed over."""
    workspace = WorkspaceLayout(tmp_path)
    workspace.wheels.mkdir()
    with zipfile.ZipFile(workspace.wheels / "watchdog-6.0.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("watchdog/__init__.py", "")
        wheel.writestr("watchdog-6.0.0.dist-info/RECORD", "")
    (workspace.wheels / "psutil-7.0.0-py3-none-any.whl").write_bytes(b"broken")
    bundle = BundleStore(workspace).bundle_for(ALIEN)
    assert bundle.extras == ("watchdog",) and "site/watchdog/__init__.py" in zipfile.ZipFile(bundle.path).namelist()


def test_archive_is_made_once_and_again_when_it_is_gone(tmp_path: Path) -> None:
    """Another process finds the archive by the index; one that a person removed is made again."""
    first = BundleStore(WorkspaceLayout(tmp_path)).bundle_for(NODE)
    made_at = first.path.stat().st_mtime_ns
    store = BundleStore(WorkspaceLayout(tmp_path))
    assert store.bundle_for(NODE) == first and first.path.stat().st_mtime_ns == made_at
    BundleStore(WorkspaceLayout(tmp_path)).bundle_for(ALIEN)
    assert BundleStore(WorkspaceLayout(tmp_path)).bundle_for(NODE).path.stat().st_mtime_ns == made_at
    first.path.unlink()
    assert store.bundle_for(NODE) == first and first.path.exists()


def test_archives_of_earlier_versions_go(tmp_path: Path) -> None:
    """What no node is sent any more does not pile up, once it is surely not on its way either."""
    store = BundleStore(WorkspaceLayout(tmp_path))
    young, old = (tmp_path / "bundles" / f"{letter * 64}.zip" for letter in "ab")
    young.parent.mkdir()
    for path in (young, old):
        path.write_bytes(b"x")
    os.utime(old, (1, 1))
    store.bundle_for(NODE)
    assert young.exists() and not old.exists()
