"""Whatever a script does to its logs and files: F22, F27 to F31, F33, F34."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from tests.faults.lab import wait_until
from tests.lab.options import HostOptions
from tests.network.invariants import checked
from tests.network.stage import NetworkRun, Stage

pytestmark = [pytest.mark.lab(hosts=1), pytest.mark.timeout(240)]
# At its end the script tells the sha256 of every file in logs/ and outputs/.
_SUMS = """
import hashlib, json, os
sums = {}
for top in ("logs", "outputs"):
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            sums[path] = hashlib.sha256(open(path, "rb").read()).hexdigest()
json.dump(sums, open("outputs/sums.json", "w"))
"""
_CORPUS = (
    b"\xef\xbb\xbfbyte order mark\r\nCRLF\r\n\0\0NUL\0\n\xff\xfe\xc3\x28 no UTF-8 \xed\xa0\x80\n"
    b"\x1b[31mred\x1b[2J\x1b]0;title\x07\rprogress 1%\rprogress 2%\n\xe2\x80\xae right to left\n" + bytes(range(256))
)


def _has_arrived(run: NetworkRun, content: bytes) -> None:
    log = run.run.driver_log(None)
    wait_until(lambda: log.exists() and log.read_bytes() == content, what=f"{content!r}")


def _sums_are_right(run: NetworkRun) -> None:
    sums = json.loads((run.run.outputs / "sums.json").read_bytes())
    for path, told in sums.items():
        assert hashlib.sha256((run.run.root / path).read_bytes()).hexdigest() == told, path


def test_logs_that_rotate(stage: Stage) -> None:
    """Files that are renamed, cut, copied and cut, or removed while they travel: all that exists at the end is here."""
    source = """
import shutil, time
count = 0
for turn in range(12):
    for name in ("renamed", "copied", "removed", "cut"):
        with open(f"logs/{name}.log", "a") as log:
            for _ in range(300):
                log.write("%s %d\\n" % (name, count)); count += 1
    time.sleep(0.15)
    os.rename("logs/renamed.log", f"logs/renamed.log.{turn}")
    shutil.copy("logs/copied.log", f"logs/copied.log.{turn}")
    os.truncate("logs/copied.log", 0)
    os.unlink("logs/removed.log")
    os.truncate("logs/cut.log", 100 * turn)
"""
    run = stage.submit(f"import os{source}{_SUMS}")
    run.wait_end()
    checked(run, started=1)
    _sums_are_right(run)


def test_a_driver_log_that_is_cut_and_overwritten(stage: Stage) -> None:
    """What had come is kept aside; the log is what the node has at its end (F27, F28)."""
    source = """
import os, sys, time
def wait(number):
    while not os.path.exists(f"/home/lab/step{number}"): time.sleep(0.01)
os.write(1, b"first\\n")
wait(1)
os.ftruncate(1, 0)
os.write(1, b"second, and longer\\n")
wait(2)
os.pwrite(os.open("/proc/self/fd/1", os.O_WRONLY), b"SECOND", 0)
os.rename("outputs", "gone"); os.mkdir("outputs")
"""
    run = stage.submit(source)
    _has_arrived(run, b"first\n")
    run.host().path("/home/lab/step1").touch()
    _has_arrived(run, b"second, and longer\n")
    run.host().path("/home/lab/step2").touch()
    run.wait_end()
    log = run.run.driver_log(None)
    assert log.read_bytes() == b"SECOND, and longer\n"
    assert log.with_name(f"{log.name}.g1").read_bytes() == b"first\n"
    assert log.with_name(f"{log.name}.g2").read_bytes() == b"second, and longer\n"


def test_one_line_of_a_hundred_megabytes(stage: Stage) -> None:
    """No newline for a hundred megabytes: identical, and neither side holds it in memory (F29)."""
    run = stage.submit("for n in range(400): say(b'%08d' % n * 32768)\nwhile not may_end(): pass\n")
    run.grown(by=1_000_000)
    controller = run.controller()
    assert controller is not None
    before = _peak_bytes(controller.pid)
    wait_until(lambda: run.run.driver_log(None).stat().st_size == 400 * 8 * 32768, limit_s=60, what="the whole line")
    agent = run.agents()[0]
    assert _peak_bytes(agent) < 40 * 2**20
    assert _peak_bytes(controller.pid) - before < 64 * 2**20
    run.release()
    run.wait_end()
    checked(run, started=1)


def _peak_bytes(pid: int) -> int:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) * 1024


def test_bytes_that_are_no_text(stage: Stage) -> None:
    """Every byte arrives as it is, and a person can look at it (F30)."""
    run = stage.submit(f"say({_CORPUS!r})\n")
    run.wait_end()
    checked(run, started=1)
    assert run.run.driver_log(None).read_bytes() == _CORPUS
    assert stage.command("logs", run.run_id).returncode == 0


def test_output_of_those_that_stay_behind(stage: Stage) -> None:
    """A grandchild in a session of its own writes after its parent's end, and is ended; all of it came (F22, F31)."""
    source = """
import os, sys, time
os.write(1, b"parent, no newline")
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        number = 0
        while True:
            number += 1
            os.write(1, b"%d" % number)
            os.pwrite(os.open("outputs/count", os.O_CREAT | os.O_WRONLY), b"%d" % number, 0)
            time.sleep(0.01)
    os._exit(0)
os._exit(0)
"""
    run = stage.submit(source)
    run.wait_end()
    assert run.record.status == "Completed"
    count = int((run.run.outputs / "count").read_text())
    log = run.run.driver_log(None).read_bytes()
    said = b"parent, no newline" + b"".join(b"%d" % number for number in range(1, count + 1))
    assert log in (said, said + b"%d" % (count + 1))
    wait_until(lambda: not run.host().processes(), what="nothing left")


def test_a_thousand_files(stage: Stage) -> None:
    """A thousand logs that all grow, and a thousand outputs: few descriptors, every byte (F33)."""
    source = """
import os
for turn in range(3):
    for number in range(1000):
        with open(f"logs/{number}.log", "ab") as log: log.write(b"%d\\n" % turn * number)
for number in range(1000):
    with open(f"outputs/{number}", "wb") as out: out.write(b"%d" % number)
say(b"done")
while not may_end(): pass
"""
    run = stage.submit(f"{source}{_SUMS}")
    wait_until(lambda: (run.run.user_logs / "999.log").exists(), limit_s=60, what="the last log")
    controller = run.controller()
    assert controller is not None
    assert len(list(Path(f"/proc/{controller.pid}/fd").iterdir())) < 60
    assert len(list(Path(f"/proc/{run.agents()[0]}/fd").iterdir())) < 260
    run.release()
    run.wait_end(limit_s=90)
    checked(run, started=1)
    _sums_are_right(run)


@pytest.mark.chaos
@pytest.mark.timeout(600)
@pytest.mark.lab(hosts=2)
def test_two_hundred_processes(stage: Stage) -> None:
    """Two hundred processes at once: each has its log, each log every byte (F33)."""
    run = stage.submit("for n in range(50): say(b'%d ' % n * 300)\n", nodes=2, processes=200)
    run.wait_end(limit_s=300)
    checked(run, started=200)


def test_a_node_without_inotify_left(stage: Stage) -> None:
    """Another program of the user holds every inotify instance there is: polling alone brings the same bytes (F34)."""
    hog = """
import ctypes, sys
held = ctypes.CDLL(None).inotify_init
while held() >= 0: pass
print("none left", flush=True)
sys.stdin.read()
"""
    command = stage.lab[0].inside(["python3", "-c", hog], user="lab")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None and holder.stdout is not None
        assert holder.stdout.readline() == b"none left\n"
        run = stage.submit("import time\nfor n in range(6): say(b'%d ' % n * 400); time.sleep(0.4)\nsay(b'last')\n")
        run.wait_end()
        holder.stdin.close()
    checked(run, started=1)


@pytest.mark.parametrize("release", ["bullseye", "trixie"])
def test_a_node_with_another_python(release: str, lab_of, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Python 3.9 and 3.13, without watchdog where no wheel fits: polling alone brings the same bytes (F34)."""
    lab = lab_of(1, HostOptions(rootfs=release))
    monkeypatch.setenv("HOME", str(lab.submitter.home))
    stage = Stage(tmp_path, lab)
    run = stage.submit("import time\nfor n in range(40): say(b'%d ' % n * 400); time.sleep(0.01)\n")
    run.wait_end()
    checked(run, started=1)
    stage.close()


def test_files_that_may_not_be_read(stage: Stage) -> None:
    """Closed files and folders come all the same, and the runner's own names stay the runner's."""
    source = """
import os
os.makedirs("outputs/closed"); os.makedirs("logs/azureml")
for path in ("outputs/x", "outputs/closed/x", "logs/x"):
    open(path, "w").write("data"); os.chmod(path, 0)
os.chmod("outputs/closed", 0)
open("logs/azureml/manifest.json", "w").write("the script's")
"""
    run = stage.submit(source)
    run.wait_end()
    record = checked(run, started=1)
    assert record.warnings == ()
    for path in ("outputs/x", "outputs/closed/x", "logs/x"):
        assert (run.run.root / path).read_text() == "data"
    assert (run.run.user_logs / record.nodes[0] / "azureml/manifest.json").read_text() == "the script's"


def test_a_driver_log_that_is_removed(stage: Stage) -> None:
    """On its node it is put back from what the process still held open, and every byte of it comes."""
    source = """
import os
log = os.path.realpath("/proc/self/fd/1")
os.write(1, b"first\\n")
while not os.path.exists("/home/lab/go"): time.sleep(0.01)
os.unlink(log)
os.write(1, b"second\\n")
"""
    run = stage.submit(f"import time{source}")
    _has_arrived(run, b"first\n")
    run.hosts[0].path("/home/lab/go").touch()
    run.wait_end()
    assert run.record.status == "Completed"
    assert run.run.driver_log(None).read_bytes() == b"first\nsecond\n"
    assert [warning.split(";")[0] for warning in run.record.warnings] == [
        "70_driver_log.txt was removed or renamed while its process ran"
    ]
