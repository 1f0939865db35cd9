"""The same calls by the real azureml-core and by ours: what a script can observe is the same, but for what is named."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from runner.azureml.enabling import names_folder

pytestmark = [pytest.mark.azureml_core, pytest.mark.timeout(300)]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
REAL = ("azureml-core==1.61.0.post4", "setuptools<81")
# Deliberately otherwise, and why.
OTHERWISE = {
    "Run.get_context() is run": "one object and one id a process, as in a job",
    "PyTorchConfiguration('gloo', node_count=2).process_count": "the number that it stands for can be read",
    "Environment('e').environment_variables": "no example variable finds its way into jobs",
    "RunConfiguration.load(folder, 'absent')": "the message says which is missing where",
    "Environment.from_conda_specification('e', 'absent.yml')": "one kind of exception for what a user got wrong",
    "Environment.from_existing_conda_environment('e', 'nosuch')": "as the one above, where there is no conda",
    "list(CondaDependencies.create(conda_packages=['scipy']).conda_packages)": "the Python that is there is used",
    "RemoteCompute.attach_configuration(username='u')": "a machine inside Azure cannot be looked up here",
    "RemoteCompute.attach_configuration(address='a', username='')": "the wording of older versions",
    "RemoteCompute.attach_configuration(username='u', address='a', ssh_port=None)": "refused at once, not at attach",
}
IMPORTS = """
import os, tempfile
from azureml.core import Environment, Run, RunConfiguration, ScriptRunConfig, VERSION
from azureml.core.compute import RemoteCompute
from azureml.core.conda_dependencies import CondaDependencies
from azureml.core.run import _OfflineRun
from azureml.core.runconfig import DEFAULT_CPU_IMAGE, DockerConfiguration, MpiConfiguration
from azureml.core.runconfig import PyTorchConfiguration, TensorflowConfiguration
from azureml.exceptions import *
run = Run.get_context()
folder = tempfile.mkdtemp()
os.chdir(folder)
os.mkdir(".azureml")
"""


@pytest.fixture(scope="module")
def real_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the real package; it comes from the package index, and reaches nobody."""
    folder = tmp_path_factory.mktemp("azureml") / "real"
    uv = Path(sys.executable).with_name("uv")
    python = folder / "bin" / "python"
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True, timeout=60)
    subprocess.run([uv, "pip", "install", "--quiet", "--python", python, *REAL], check=True, timeout=240)
    return python


def observe(python: Path | str, calls: str, *paths: Path) -> dict[str, Any]:
    """What the calls show in a Python, `paths` put in front of its own."""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    text = f"{IMPORTS.strip()}\n\n{calls}"
    command = [python, HERE / "observer.py"]
    done = subprocess.run(command, env=environ, input=text, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_scripts_observe(real_python: Path) -> None:
    """Printed lines, values, kinds of exceptions and their messages of every call in calls.txt."""
    calls = (HERE / "calls.txt").read_text()
    theirs = observe(real_python, calls)
    ours = observe(sys.executable, calls, ROOT, names_folder())
    assert len(theirs) > 100
    different = {call: (theirs[call], ours[call]) for call in theirs if theirs[call] != ours[call]}
    assert different.keys() == OTHERWISE.keys(), {call: different.get(call) for call in different.keys() ^ OTHERWISE}


def test_beside_the_real_package_nothing_is_enabled(real_python: Path) -> None:
    """The command says what stands in the way and what to do, and writes nothing."""
    paths = os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])
    answers = {}
    for word in ("enable", "status", "disable"):
        command = [real_python, "-m", "runner", "azureml", word]
        done = subprocess.run(command, env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True)
        answers[word] = (done.returncode, done.stdout + done.stderr)
    assert answers["enable"][0] == 2 and "azureml-core" in answers["enable"][1]
    assert "pip uninstall" in answers["enable"][1]
    assert answers["status"][0] == 0 and "not enabled in" in answers["status"][1]
    assert "installed here: azureml-core" in answers["status"][1]
    assert answers["disable"] == (0, "was not enabled\n")
    assert not [*real_python.parents[1].rglob("scriptrun-azureml.pth")]
