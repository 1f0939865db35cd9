"""Runs that somebody throws away while they go on, and builds that somebody cancels: nothing of them goes on."""

from __future__ import annotations

import shutil
from pathlib import Path

from runner.spec.request import EnvironmentSpec
from tests.faults.lab import Lab, wait_until

_LONG = "import time\nopen('outputs/begun', 'w').close()\ntime.sleep(600)\n"


def test_a_run_folder_that_is_removed(lab: Lab) -> None:
    """`rm -rf` of a run's folder is how people throw a run away: job, supervisor, agent and controller end with it."""
    run = lab.submit(_LONG, nodes=2, processes=2)
    run.wait_started("rank_0", "rank_1")
    nodes = [run.node(number).root for number in (0, 1)]
    shutil.rmtree(run.run.root)
    wait_until(lambda: not run.left(), limit_s=40, what="the end of everything of the run")
    wait_until(lambda: not any(node.exists() for node in nodes), what="the end of the nodes' folders")


def test_a_build_that_is_canceled(lab: Lab, tmp_path: Path) -> None:
    """Cancel ends the installer as well, leaves no half environment, and counts nothing left."""
    package = tmp_path / "slow"
    package.mkdir()
    (package / "pyproject.toml").write_text(
        "[build-system]\nrequires = []\nbuild-backend = 'slow'\nbackend-path = ['.']\n"
    )
    begun = tmp_path / "begun"
    (package / "slow.py").write_text(f"import time\nopen({str(begun)!r}, 'w').close()\ntime.sleep(600)\n")
    environment = EnvironmentSpec(user_managed_dependencies=False, pip_requirements=(f"slow @ {package.as_uri()}",))
    run = lab.submit(_LONG, environment=environment)
    wait_until(begun.exists, limit_s=60, what="the build of the package")
    record = run.cancel()
    assert record.status == "Canceled"
    assert record.census is not None
    assert record.census["local-0"]["left"] == 0
    wait_until(lambda: not run.left(), what="the end of the controller")
    built = [path for path in lab.workspace.environments.iterdir() if path.is_dir()]
    assert built == []
