"""Whatever a process writes, and does to its own log, the log holds what the kernel has: F27 to F31."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from tests.faults.invariants import checked
from tests.faults.lab import Lab, Victim, wait_until

_MEMORY_LIMIT_KIB = 64 * 1024
_CORPUS = {
    "nul": b"a\0b\0\0\n",
    "invalid utf-8": b"\xff\xfe \xc3\x28 \xed\xa0\x80 \xf8\x88\x80\x80\x80\n",
    "every byte": bytes(range(256)) * 3,
    "ansi": b"\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J\x9b31m\n",
    "progress": b"".join(b"\r%3d%%" % number for number in range(101)) + b"\n",
    "bom": b"\xef\xbb\xbfbom\n\xff\xfeu\0t\0f\0",
    "crlf": b"one\r\ntwo\r\n\r\nthree\n\r",
    "half a letter": "ü".encode()[:1],
    "no newline": b"the end",
    "only newlines": b"\n" * 1000,
    "nothing": b"",
}


def test_every_kind_of_byte_arrives_as_it_was_written(lab: Lab, tmp_path: Path) -> None:
    """NUL, broken UTF-8, escapes, CR, BOM, CRLF, half a letter at the end: a process each, identical (F30, F31)."""
    for number, content in enumerate(_CORPUS.values()):
        (tmp_path / str(number)).write_bytes(content)
    source = f"import os; from said import say; say(open({str(tmp_path)!r} + '/' + os.environ['RANK'], 'rb').read())"
    victim = lab.submit(source, processes=len(_CORPUS))
    victim.wait_end()
    checked(victim, started=len(_CORPUS))
    for number, content in enumerate(_CORPUS.values()):
        assert victim.run.driver_log(number).read_bytes() == content
    shown = lab.command("logs", victim.run_id)
    assert shown.returncode == 0
    assert not {"\0", "\x1b", "\x9b", "\x07"} & set(shown.stdout)


@pytest.mark.parametrize("mode", ["b'half a line'", "b''"])
def test_output_only_at_the_end(lab: Lab, mode: str) -> None:
    """A process that speaks with its last breath, or never, has a log that says exactly that (F31)."""
    source = f"import atexit, time; from said import say; atexit.register(say, {mode}); time.sleep(0.5)"
    victim = lab.submit(source)
    victim.wait_end()
    checked(victim, started=1)
    assert repr(victim.run.driver_log(None).read_bytes()) == mode


@pytest.mark.timeout(300)
def test_a_line_of_two_hundred_megabytes(lab: Lab, tmp_path: Path) -> None:
    """No newline at all: identical, and nobody of the runner's own holds it in memory (F29)."""
    source = (
        "import hashlib, os, time\n"
        "piece, seen = os.urandom(1 << 20).replace(b'\\n', b' '), hashlib.sha256()\n"
        "for _ in range(200): os.write(1, piece); seen.update(piece)\n"
        "open('outputs/sum', 'w').write(seen.hexdigest())\n"
        f"while not os.path.exists({str(tmp_path / 'go')!r}): time.sleep(0.01)\n"
    )
    victim = lab.submit(source)
    wait_until(lambda: (victim.node().work / "outputs/sum").exists(), limit_s=120, what="200 MB")
    peaks = _peaks_kib(victim)
    (tmp_path / "go").touch()
    victim.wait_end(limit_s=120)
    checked(victim, started=1)
    with open(victim.run.driver_log(None), "rb") as log:
        assert hashlib.file_digest(log, "sha256").hexdigest() == (victim.run.outputs / "sum").read_text()
    assert {name for name, peak in peaks.items() if peak > _MEMORY_LIMIT_KIB} == set(), peaks


def _peaks_kib(victim: Victim) -> dict[str, int]:
    controller, supervisor = victim.controller(), victim.supervisor()
    assert controller is not None and supervisor is not None
    pids = {"controller": controller.pid, "supervisor": supervisor.pid, "agent": victim.agents()[0]}
    return {name: _peak_kib(pid) for name, pid in pids.items()}


def _peak_kib(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


@pytest.mark.parametrize(
    ("act", "kept"),
    [
        ("os.truncate(log, 0)", b"second half\n"),
        ("os.rename(log, log + '.1')", b"first half\n" * 1000 + b"second half\n"),
        ("os.unlink(log)", b"first half\n" * 1000 + b"second half\n"),
        ("shutil.copyfile(log, log + '.1'); os.truncate(log, 0)", b"second half\n"),
        (
            "fd = os.open(log, os.O_WRONLY); os.pwrite(fd, b'FIRST', 0)",
            b"FIRST half\n" + b"first half\n" * 999 + b"second half\n",
        ),
    ],
    ids=["truncated", "renamed", "unlinked", "rotated", "overwritten"],
)
def test_a_script_that_touches_its_own_log(lab: Lab, act: str, kept: bytes) -> None:
    """In the middle of a burst: nobody crashes, and the log is the very file that was written to (F27, F28)."""
    source = (
        "import os, shutil, time\n"
        "os.write(1, b'first half\\n' * 1000); time.sleep(0.3)\n"
        f"log = os.readlink('/proc/self/fd/1'); {act}\n"
        "time.sleep(0.3); os.write(1, b'second half\\n')\n"
    )
    victim = lab.submit(source, processes=2)
    victim.wait_end()
    checked(victim, started=2)
    log = victim.run.driver_log(0)
    assert log.read_bytes() == kept
    assert lab.command("logs", victim.run_id).returncode == 0


def test_a_script_that_plays_in_its_logs_folder(lab: Lab) -> None:
    """Files in logs/ that appear, grow, are renamed, replaced and removed by the hundred are no trouble to anybody."""
    source = (
        "import os, time\n"
        "from said import say\n"
        "for turn in range(60):\n"
        "    for name in ('a', 'b', 'c'):\n"
        "        open(f'logs/{name}', 'a').write(f'{turn}\\n')\n"
        "    os.replace('logs/b', 'logs/a'); open('logs/c', 'w').close()\n"
        "    if turn % 7 == 0: os.unlink('logs/a'); os.makedirs('logs/d/e', exist_ok=True)\n"
        "    time.sleep(0.01)\n"
        "say(b'kept: ' + open('logs/a', 'rb').read())\n"
    )
    victim = lab.submit(source)
    victim.wait_end()
    checked(victim, started=1)
    assert b"kept: " + (victim.run.user_logs / "a").read_bytes() == victim.run.driver_log(None).read_bytes()
    assert os.path.getsize(victim.run.user_logs / "c") == 0
