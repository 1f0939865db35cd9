"""Data sets and outputs of scripts for Azure ML v1 on other machines: sent once, brought back, whatever is cut."""

from __future__ import annotations

import hashlib
import os
import random
import warnings
from pathlib import Path
from typing import Any

import pytest

from runner.sdk import (
    Dataset,
    Datastore,
    Experiment,
    OutputFileDatasetConfig,
    PyTorchConfiguration,
    ScriptRunConfig,
    Workspace,
)
from runner.sdk.data.reference import DataReference
from sidecar.contract import settings
from sidecar.contract.stores import InputsLayout
from tests.faults.lab import SCRIPT, wait_until
from tests.lab.options import HostOptions
from tests.network.invariants import checked
from tests.network.stage import NODE_WORK, NetworkRun, Stage

pytestmark = [pytest.mark.lab(hosts=2), pytest.mark.timeout(240)]
_USE = """
import os, sys
from azureml.core import Run
run, node = Run.get_context(), os.environ["AZ_BATCH_NODE_ID"]
folder, file, made = sys.argv[1:]
assert run.input_datasets["digits"] == folder == os.environ["digits"] == os.environ["AZUREML_DATAREFERENCE_digits"]
assert os.path.isabs(file) and open(file).read() == open(os.path.join(folder, "a.csv")).read()
for path in (file, os.path.join(folder, "new.csv")):
    try: open(path, "a")
    except PermissionError: say(b"cannot be written\\n")
for above, folders, files in sorted(os.walk(folder)):
    for name in sorted(files):
        path = os.path.join(above, name)
        say(b"%s %d\\n" % (os.path.relpath(path, folder).encode(), os.path.getsize(path)))
say(open(file, "rb").read())
os.chdir("/")  # The folder of an output is the same wherever the script is.
open(os.path.join(made, "node.txt"), "w").write(node)
open(os.path.join(made, "same.txt"), "w").write("of both")
assert run.output_datasets["made"] == made
os.chdir(os.environ["PWD"])
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data set of half a megabyte."""
    folder = tmp_path / "data"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.csv").write_text("x\n1\n")
    (folder / "deep" / "b.bin").write_bytes(os.urandom(500_000))
    return folder


@pytest.fixture
def workspace(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The stage's workspace, as a script of v1 sees it; its compute target `lab` are the hosts."""
    monkeypatch.setenv(settings.WORKSPACE, str(stage.workspace.root))
    stage.workspace.compute.mkdir(parents=True)
    stage.lab.submitter.compute_file(stage.workspace.compute_file("lab"))
    return Workspace.from_config()


def _submit(stage: Stage, workspace: Workspace, source: str, *given: Any, nodes: int = 1) -> NetworkRun:
    folder = stage.request(source, nodes=nodes).source_directory
    launcher = PyTorchConfiguration("Gloo", process_count=nodes, node_count=nodes) if nodes > 1 else None
    config = ScriptRunConfig(folder, SCRIPT, list(given), compute_target="lab", distributed_job_config=launcher)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # A controller outlives whoever started it, on purpose.
        return stage.victim(Experiment(workspace, "data").submit(config).id)


def _said(run: NetworkRun, number: int = 0) -> str:
    """What the runner wrote of the `number`-th node."""
    return run.run.execution_log(run.record.nodes[number]).read_text()


def _input(data: Path) -> Any:
    return Dataset.File.from_files(str(data)).as_named_input("digits").as_mount()


def _store(run: NetworkRun, number: int = 0) -> InputsLayout:
    return InputsLayout.of(run.host(number).path(NODE_WORK))


def test_data_reach_every_host_and_outputs_come_back(stage: Stage, workspace: Workspace, data: Path) -> None:
    """A script of v1 as it is: equal data on both hosts, read-only; the second time nothing is sent, then one file."""
    store = Datastore.register(workspace, "mine", data.parent)
    made = OutputFileDatasetConfig(name="made", destination=(store, "out/{run-id}"))
    given = _input(data).as_download(), DataReference(store, "file", "data/a.csv"), made.as_upload()
    sizes = []
    for text in ("x\n1\n", "x\n1\n", "x\n1\n2\n"):
        (data / "a.csv").write_text(text)
        run = _submit(stage, workspace, _USE, *given, nodes=2)
        run.wait_end()
        checked(run, started=2)
        for number in (0, 1):
            log = run.run.driver_log(number).read_text()
            listed = f"a.csv {len(text)}\ndeep/b.bin 500000\n"
            assert log.replace("cannot be written\n", "") == listed + text
            assert log.count("cannot be written") == 2
            shipped = [line for line in _said(run, number).splitlines() if "ship" in line.lower() and "data" in line]
            sizes.append(shipped[-1].partition(" ")[2])
        place = data.parent / "out" / run.run_id
        first, second = run.record.nodes
        texts = {str(path.relative_to(place)): path.read_text() for path in place.rglob("*") if path.is_file()}
        assert set(texts) == {"node.txt", "same.txt", f"{second}/node.txt"} and set(texts.values()) > {first, second}
    assert sizes[0] == sizes[1] and sizes[0].startswith("Shipped 500,")
    assert sizes[2:4] == ["Nothing to ship of the data sets: it has all"] * 2
    assert sizes[4] == sizes[5] and int(sizes[4].split()[1].replace(",", "")) < 1500
    assert len([path for path in _store(run).objects.rglob("*") if path.is_file()]) == 3


def test_data_at_the_same_path_are_not_sent(stage: Stage, workspace: Workspace) -> None:
    """A file system that the hosts have as well: each uses the data where they are."""
    shared = Path("/usr/share/common-licenses")  # Every Debian has it, and the hosts see this machine's /usr.
    run = _submit(stage, workspace, "import sys\nsay(sys.argv[1].encode())\n", _input(shared), nodes=2)
    run.wait_end()
    checked(run, started=2)
    for number in (0, 1):
        assert run.run.driver_log(number).read_text() == str(shared)
        assert f"Data set digits is in place: {shared}" in _said(run, number)
        assert not _store(run, number).objects.exists()


@pytest.mark.chaos  # What was cut off on the host gives up after a minute.
@pytest.mark.lab(hosts=1)
def test_data_over_connections_that_live_for_some_kilobytes(stage: Stage, workspace: Workspace, data: Path) -> None:
    """Every connection is reset on the way: each goes on where the last one broke, and the data are right."""
    stage.lab.faults.reset_every("lab1", 200_000)
    source = "import hashlib, sys\ncontent = open(sys.argv[1] + '/deep/b.bin', 'rb').read()\n"
    source += "say(hashlib.sha256(content).hexdigest().encode())\n"
    run = _submit(stage, workspace, source, _input(data))
    run.wait_end(limit_s=200)
    wait_until(lambda: not run.host().processes(), limit_s=90, what="the end of what was cut off")
    checked(run, started=1)
    assert run.run.driver_log(None).read_text() == hashlib.sha256((data / "deep/b.bin").read_bytes()).hexdigest()


@pytest.mark.lab(hosts=[HostOptions(home_size_bytes=30_000_000)])
def test_data_that_a_host_has_no_room_for(stage: Stage, workspace: Workspace, data: Path) -> None:
    """The run ends before anything starts, says what is missing where, and leaves no half content."""
    os.truncate(data / "deep" / "b.bin", 40_000_000)
    run = _submit(stage, workspace, "say(b'never')\n", _input(data))
    run.wait_end(limit_s=90)
    record = checked(run, "Failed", started=0)
    assert record.failure is not None
    assert record.failure["summary"].startswith("data on lab1 failed: the data set cannot be kept in ")
    assert "No space left on device: 38.1 MiB are to come" in record.failure["summary"]


@pytest.mark.lab(hosts=1)
def test_more_data_than_may_be_sent(
    stage: Stage, workspace: Workspace, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is told with the setting that changes it, before a byte is read."""
    monkeypatch.setenv(settings.DATA_LIMIT_MB, "0.1")
    run = _submit(stage, workspace, "say(b'never')\n", _input(data))
    run.wait_end()
    failure = checked(run, "Failed", started=0).failure
    assert failure is not None
    assert (
        "digits: 0.5 MiB of data are not on lab1 under the same path, and at most 0.1 MiB are sent"
        in failure["summary"]
    )
    assert settings.DATA_LIMIT_MB in failure["first"]["hint"]


_SIZE = "import os, sys\nsay(b'%d' % os.path.getsize(sys.argv[1] + '/deep/b.bin'))\n"


def _begin_to_send(stage: Stage, workspace: Workspace, data: Path, size_bytes: int) -> NetworkRun:
    """A run whose data are on their way over a slow line."""
    (data / "deep" / "b.bin").write_bytes(os.urandom(size_bytes))
    stage.lab.faults.throttle("lab1", 8_000_000)
    run = _submit(stage, workspace, _SIZE, _input(data))
    wait_until(lambda: any(_store(run).incoming.glob("*.part")), what="the first piece")
    return run


@pytest.mark.lab(hosts=1)
def test_a_link_that_breaks_while_data_are_sent(stage: Stage, workspace: Workspace, data: Path) -> None:
    """The next one goes on, and the data are whole."""
    run = _begin_to_send(stage, workspace, data, 3_000_000)
    run.kill("sshd")
    run.wait_end(limit_s=90)
    checked(run, started=1)
    assert run.run.driver_log(None).read_text() == "3000000"


@pytest.mark.lab(hosts=1)
def test_a_cancel_while_data_are_sent(stage: Stage, workspace: Workspace, data: Path) -> None:
    """It is not waited for the rest, and no half content stays."""
    run = _begin_to_send(stage, workspace, data, 60_000_000)
    assert run.cancel().status == "Canceled"
    checked(run, "Canceled", started=0)


@pytest.mark.chaos
@pytest.mark.lab(hosts=1)
def test_kills_while_data_are_sent(stage: Stage, workspace: Workspace, data: Path, chance: random.Random) -> None:
    """Agents, sessions and controllers are killed on the way: the data arrive, and are right."""
    run = _begin_to_send(stage, workspace, data, 5_000_000)
    run.kill_often(("agent", "controller", "sshd"), 5, chance, most_s=1.0)
    run.wait_end(limit_s=120)
    checked(run, started=1)
    assert run.run.driver_log(None).read_text() == "5000000"
