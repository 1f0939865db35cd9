"""Runs the marked groups wherever they can run, and says loudly what was not run.

With SCRIPTRUN_REQUIRE_GROUPS="mpi,strace" (or "possible": every group that this machine can run) a skip in one of
those groups is a failure.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from tests import groups
from tests.doubles import mlflow_lab

_SKIPPED = pytest.StashKey[dict[str, set[str]]]()
_REQUIRED = pytest.StashKey[set[str]]()


@pytest.fixture(scope="session")
def mlflow_oldest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the oldest MLflow that must work."""
    return mlflow_lab.build_environment(tmp_path_factory.mktemp("mlflow") / "oldest", mlflow_lab.OLDEST)


@pytest.fixture(scope="session")
def mlflow_newest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the newest MLflow, and scikit-learn."""
    return mlflow_lab.build_environment(tmp_path_factory.mktemp("mlflow") / "newest", mlflow_lab.NEWEST)


def pytest_configure(config: pytest.Config) -> None:
    """Registers the groups as markers."""
    for name, (meaning, _) in groups.GROUPS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    config.addinivalue_line("markers", "case(name): the folder of tests/unmodified/cases that the test runs")
    for name, meaning in groups.LONG.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")
    config.stash[_SKIPPED] = {}
    config.stash[_REQUIRED] = groups.required(os.environ.get("SCRIPTRUN_REQUIRE_GROUPS", ""))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skips a test whose group this machine cannot run."""
    for name in _groups_of(item):
        reason = groups.obstacle(name)
        if reason is not None:
            pytest.skip(f"group {name}: {reason}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remembers what was skipped, and makes a failure of it where the group is required."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        for name in _groups_of(item) or ["(no group)"]:
            item.config.stash[_SKIPPED].setdefault(f"{name}: {reason}", set()).add(item.nodeid)
        required = item.config.stash[_REQUIRED]
        must = required.intersection(_groups_of(item))
        if any(groups.obstacle(name) for name in _groups_of(item) if name not in required):
            must = set()  # It is in a second group as well, which is not required, and which this machine cannot run.
        if must:
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid} was skipped, but {', '.join(sorted(must))} must run here: {reason}"
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Prints every skipped test under its group and reason."""
    skipped = config.stash[_SKIPPED]
    if not skipped:
        return
    terminalreporter.section("NOT RUN HERE", sep="=", yellow=True, bold=True)
    for reason, tests in sorted(skipped.items()):
        terminalreporter.write_line(f"{len(tests)} x {reason}", yellow=True)
        for test in sorted(tests):
            terminalreporter.write_line(f"    {test}")


def _groups_of(item: pytest.Item) -> list[str]:
    return [name for name in groups.GROUPS if item.get_closest_marker(name) is not None]
