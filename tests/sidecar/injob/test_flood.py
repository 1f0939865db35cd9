"""Output is live while it trickles and fast while it floods, and every byte is there once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

BOOTSTRAP = Path(__file__).parents[3] / "sidecar" / "injob" / "bootstrap.py"
# Long enough a flood that the watch, which looks every 10 to 100 ms, is sure to see it.
LINES = 400_000

FLOOD = f"""
line = "x" * 90
for number in range({LINES}):
    print(number, line)
"""


def clean_environ() -> dict[str, str]:
    """This machine's environment without what changes buffering."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONUNBUFFERED", "PYTHONPATH")}


def run(source: str, folder: Path, *options: str) -> bytes:
    """Runs `source` as a job with its output in a file opened as the wrapper opens it; gives back the file."""
    (folder / "script.py").write_text(source)
    with open(folder / "out", "ab") as out:
        command = [sys.executable, *options, str(BOOTSTRAP), "script.py"]
        subprocess.run(command, cwd=folder, env=clean_environ(), stdout=out, stderr=out, timeout=100, check=True)
    return (folder / "out").read_bytes()


def flood_lines() -> list[bytes]:
    """The lines of FLOOD."""
    return [b"%d %s" % (number, b"x" * 90) for number in range(LINES)]


def wait_until_size(path: Path, size_bytes: int) -> None:
    """Waits until `path` has grown to `size_bytes`."""
    limit = time.monotonic() + 20
    while path.stat().st_size < size_bytes:
        assert time.monotonic() < limit, f"{path} has only {path.stat().st_size} bytes"
        time.sleep(0.005)


def test_flood_is_written_whole_and_in_order(tmp_path: Path) -> None:
    """A flood arrives byte for byte, and it is written in blocks, not a system call a line."""
    count = "sys.stdout.flush(); print(open('/proc/self/io').read().split()[7], file=sys.stderr)"
    *lines, calls = run(f"{FLOOD}\nimport sys; {count}", tmp_path).splitlines()
    assert lines == flood_lines()
    assert int(calls) < LINES / 2


def test_line_shows_at_once_without_flood(tmp_path: Path) -> None:
    """A printed line is in the file while the script goes on."""
    (tmp_path / "script.py").write_text("print('first')\ninput()")
    with open(tmp_path / "out", "wb") as out, subprocess.Popen(
        [sys.executable, str(BOOTSTRAP), "script.py"],
        cwd=tmp_path, env=clean_environ(), stdout=out, stdin=subprocess.PIPE,
    ) as process:  # fmt: skip
        wait_until_size(tmp_path / "out", len("first\n"))
        process.communicate(b"\n", timeout=20)


@pytest.mark.parametrize("after", ["input()", "import os, signal; os.kill(os.getpid(), signal.SIGTERM)"])
def test_tail_of_a_flood_shows_though_the_script_goes_on(after: str, tmp_path: Path) -> None:
    """The last lines of a flood do not wait in a buffer, not even for a script that then is killed."""
    (tmp_path / "script.py").write_text(FLOOD + f"import time; time.sleep(0.3)\n{after}")
    with open(tmp_path / "out", "wb") as out, subprocess.Popen(
        [sys.executable, str(BOOTSTRAP), "script.py"],
        cwd=tmp_path, env=clean_environ(), stdout=out, stdin=subprocess.PIPE,
    ) as process:  # fmt: skip
        wait_until_size(tmp_path / "out", sum(len(line) + 1 for line in flood_lines()))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)
    assert (tmp_path / "out").read_bytes().splitlines() == flood_lines()


def test_forking_out_of_a_flood_doubles_and_loses_nothing(tmp_path: Path) -> None:
    """Children forked while the parent floods write their own lines once, however they leave."""
    source = """
import os, sys
line = "x" * 90
for number in range(400_000):
    print(number, line)
    if number % 20_000 == 0:
        child = os.fork()
        if child == 0:
            for part in range(50):
                print("child", number, part)
            if number % 40_000 == 0:
                os._exit(0)
            sys.exit(0)
        os.waitpid(child, 0)
"""
    lines = run(source, tmp_path, "-W", "error").splitlines()
    of_children = [line for line in lines if line.startswith(b"child")]
    assert [line for line in lines if not line.startswith(b"child")] == flood_lines()
    assert of_children == [b"child %d %d" % (n, part) for n in range(0, LINES, 20_000) for part in range(50)]


def test_worker_pool_started_in_a_flood(tmp_path: Path) -> None:
    """multiprocessing's forked workers print while the parent floods; every line is there once."""
    source = """
import multiprocessing, sys
def work(task):
    for part in range(100):
        print("worker", task, part)
if __name__ == "__main__":
    line = "x" * 90
    for number in range(200_000): print(number, line)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        running = pool.map_async(work, range(20))
        for number in range(200_000, 400_000): print(number, line)
        running.get()
        pool.close()
        pool.join()
"""
    lines = run(source, tmp_path).splitlines()
    assert [line for line in lines if not line.startswith(b"worker")] == flood_lines()
    expected = {b"worker %d %d" % (task, part) for task in range(20) for part in range(100)}
    of_workers = [line for line in lines if line.startswith(b"worker")]
    assert set(of_workers) == expected
    assert len(of_workers) == len(expected)


def test_threads_that_flood_lose_nothing(tmp_path: Path) -> None:
    """Four threads print at once; each line is there once, which plain Python before 3.13 does not promise."""
    source = """
import threading
def work(name):
    for number in range(60_000): print(f"{name} {number} " + "x" * 90 + "\\n", end="")
threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    lines = run(source, tmp_path).splitlines()
    assert sorted(lines) == sorted(f"{name} {n} {'x' * 90}".encode() for name in "abcd" for n in range(60_000))


@pytest.mark.parametrize(
    "meddling",
    [
        "import sys, io; sys.stdout = io.StringIO()",
        "import sys; sys.stdout.reconfigure(line_buffering=False)",
        "import sys; sys.stdout = open('/dev/null', 'w')",
        "import os; os.dup2(os.open('/dev/null', os.O_WRONLY), 1)",
        "import sys; sys.stdout.close(); sys.stdout = None; print = lambda *a: 0",
        "import sys; sys.stdout.detach(); sys.stdout = sys.stderr",
    ],
)
def test_script_that_meddles_with_standard_output_is_left_alone(meddling: str, tmp_path: Path) -> None:
    """Whatever the script does to its standard output, the watch neither fails nor says anything."""
    out = run(f"{meddling}\nfor n in range(50_000): print('x' * 90)", tmp_path)
    assert b"Traceback" not in out
    assert b"Exception" not in out


def test_buffering_chosen_by_the_user_is_kept(tmp_path: Path) -> None:
    """PYTHONUNBUFFERED set by the user stays as it is, and so does standard output."""
    (tmp_path / "script.py").write_text(
        "import os, sys; print(os.environ['PYTHONUNBUFFERED'], sys.stdout.line_buffering)"
    )
    environ = {**clean_environ(), "PYTHONUNBUFFERED": ""}
    command = [sys.executable, str(BOOTSTRAP), "script.py"]
    assert subprocess.run(command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, check=True).stdout == b" False\n"
