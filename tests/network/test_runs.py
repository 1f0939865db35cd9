"""Whole runs on hosts with nothing on them, end to end, with nothing going wrong."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from runner.spec.request import MpiSpec
from tests.lab.job_python import lab_python
from tests.network.invariants import checked
from tests.network.stage import Stage

pytestmark = pytest.mark.lab(hosts=1)

_NASTY = ["a b", "it's", 'quo"te', "line\nbreak", "$(touch X)", "`touch X`", "${HOME}x", "-oProxyCommand=touch X", "*"]
_NASTY += ["", "--", "ünï ☃", "back\\slash", ";&|<>!", "tab\there", "x" * 100_000]
_RANK = 'import os\nrank = os.environ["RANK"]\n'


def test_hello(stage: Stage) -> None:
    """One script on one bare host: its log, its census, and nothing left."""
    run = stage.submit("import socket\nsay(socket.gethostname().encode() + b'\\n')\n")
    run.wait_end()
    record = checked(run, started=1)
    assert run.run.driver_log(None).read_bytes() == b"lab1\n"
    assert record.census is not None
    assert record.census["lab1"]["left"] == 0


@pytest.fixture
def mpich() -> Path:
    """A Python with MPICH for jobs; a host sees only what was built before it was switched on."""
    return lab_python("mpich")


@pytest.mark.mpi
@pytest.mark.network
@pytest.mark.lab(hosts=4)
@pytest.mark.timeout(900)  # The first time on a machine, the environment is built.
def test_mpich_on_four_hosts(mpich: Path, stage: Stage) -> None:
    """Four hosts with two ranks each, none of which trusts another, add up their ranks."""
    source = (
        "from mpi4py import MPI\nc = MPI.COMM_WORLD\nsay(b'%d of %d: %d\\n' % (c.rank, c.size, c.allreduce(c.rank)))\n"
    )
    shape = MpiSpec(process_count_per_node=2, node_count=4)
    run = stage.submit(source, nodes=4, distributed=shape, interpreter=mpich)
    run.wait_end()
    checked(run, started=8)
    assert [run.run.driver_log(rank).read_bytes() for rank in range(8)] == [
        b"%d of 8: 28\n" % rank for rank in range(8)
    ]


@pytest.mark.lab(hosts=2)
def test_two_nodes_write_the_same_paths(stage: Stage) -> None:
    """The first node keeps a path, another's file goes below its name; what is equal comes once."""
    source = _RANK + (
        "for folder in ('outputs', 'logs'):\n"
        "    open(folder + '/same', 'w').write('same')\n"
        "    open(folder + '/who', 'w').write(rank)\n"
    )
    run = stage.submit(source, nodes=2)
    run.wait_end()
    checked(run, started=2)
    root = run.run.root
    assert (root / "outputs/who").read_text() == "0"
    assert (root / "outputs/lab2/who").read_text() == "1"
    assert (root / "outputs/same").read_text() == "same"
    assert not (root / "outputs/lab2/same").exists()
    # Logs come while they grow, so the first to come keeps the path.
    first = (root / "logs/who").read_text()
    assert (root / f"logs/{'lab1' if first == '1' else 'lab2'}/who").read_text() == ("0" if first == "1" else "1")


def test_arguments_arrive_exactly(stage: Stage) -> None:
    """Whatever a shell would take apart, or take for an option, reaches the script as it is; nothing is executed."""
    source = "import json, os, sys\njson.dump(sys.argv[1:], open('outputs/argv.json', 'w'))\n"
    variables = {"NASTY": "$(touch X)\n'\"\\ `touch X`", "EMPTY": ""}
    source += "assert not os.path.exists('X')\n"
    source += "json.dump({n: os.environ[n] for n in ('NASTY', 'EMPTY')}, open('outputs/variables.json', 'w'))\n"
    run = stage.submit(source, arguments=tuple(_NASTY), variables=variables)
    run.wait_end()
    checked(run, started=1)
    wanted = [argument.replace("${HOME}", "/home/lab") for argument in _NASTY]
    assert json.loads((run.run.outputs / "argv.json").read_bytes()) == wanted
    assert json.loads((run.run.outputs / "variables.json").read_bytes()) == variables


def test_all_kinds_of_files(stage: Stage) -> None:
    """Many small files, folders, an empty file, a program, links inside and out, a FIFO, and a log that stays empty."""
    source = """
import os
for number in range(200):
    os.makedirs(f"outputs/f{number % 7}", exist_ok=True)
    open(f"outputs/f{number % 7}/{number}", "w").write(str(number))
open("outputs/empty", "w").close()
open("outputs/program", "w").write("#!/bin/sh\\n")
os.chmod("outputs/program", 0o755)
os.symlink("f1/1", "outputs/inside")
os.symlink("/etc/passwd", "outputs/outside")
os.mkfifo("outputs/fifo")
open("outputs/n\\u00e4m\\u00e9 with\\nnewline", "w").write("odd")
"""
    run = stage.submit(source)
    run.wait_end()
    checked(run, started=1)
    outputs = run.run.outputs
    assert [(outputs / f"f{n % 7}/{n}").read_text() for n in range(200)] == [str(n) for n in range(200)]
    assert (outputs / "empty").read_bytes() == b""
    assert os.access(outputs / "program", os.X_OK)
    assert os.readlink(outputs / "inside") == "f1/1"
    assert not os.path.lexists(outputs / "outside")
    assert not os.path.lexists(outputs / "fifo")
    assert (outputs / "nämé with\nnewline").read_text() == "odd"
    assert run.run.driver_log(None).read_bytes() == b""


def test_binary_logs_of_many_megabytes(stage: Stage) -> None:
    """Twenty megabytes of every byte value, and a file in logs/ and one in outputs/: byte-identical."""
    source = """
import hashlib, os, random
chance = random.Random(5)
with open("logs/big.bin", "wb") as log:
    for number in range(80):
        piece = chance.randbytes(256 * 1024)
        say(piece)
        log.write(piece)
open("outputs/big.bin", "wb").write(open("logs/big.bin", "rb").read())
open("outputs/sum", "w").write(hashlib.sha256(open("logs/big.bin", "rb").read()).hexdigest())
"""
    run = stage.submit(source)
    run.wait_end()
    checked(run, started=1)
    told = (run.run.outputs / "sum").read_text()
    for path in ("logs/big.bin", "outputs/big.bin", "azureml-logs/70_driver_log.txt"):
        assert hashlib.sha256((run.run.root / path).read_bytes()).hexdigest() == told, path


def test_a_second_run_ships_nothing(stage: Stage) -> None:
    """The sidecar that an earlier run brought is used again, and the log says so."""
    source = "say(b'again\\n')\n"
    for _ in range(2):
        run = stage.submit(source)
        run.wait_end()
        checked(run, started=1)
    assert "the sidecar was there already" in run.run.execution_log("lab1").read_text()


@pytest.mark.lab(hosts=2)
def test_a_failure_on_another_host(stage: Stage) -> None:
    """One of two ranks raises: it is named with its host, the other is stopped, both logs are there."""
    source = _RANK + (
        "import contextlib, os, socket, time\n"
        "say(b'up ' + rank.encode())\n"
        "place = os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT'])\n"
        "if rank == '0': listening = socket.create_server(('', place[1]))\n"
        "while rank == '1':\n"  # until the other one is up
        "    with contextlib.suppress(ConnectionRefusedError), socket.create_connection(place): break\n"
        "if rank == '1': raise ValueError('bad batch')\n"
        "time.sleep(600)\n"
    )
    run = stage.submit(source, nodes=2)
    run.wait_end()
    record = checked(run, "Failed", started=2)
    assert record.failure is not None
    assert record.failure["summary"].startswith("rank_1 on lab2 failed first: ValueError: bad batch")
    assert run.run.driver_log(0).read_bytes() == b"up 0"
