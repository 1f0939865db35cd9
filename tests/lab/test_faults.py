"""Each fault does what it says, can be undone, and is seen from the submitting side as in the field."""

from __future__ import annotations

import contextlib
import errno
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from tests.lab.command import LabError
from tests.lab.host import Host
from tests.lab.laboratory import Laboratory
from tests.lab.options import HostOptions

pytestmark = pytest.mark.lab


def wait_until(is_reached: Callable[[], bool], *, what: str, limit_s: float = 10.0) -> None:
    """Waits for a condition, with a limit."""
    deadline = time.monotonic() + limit_s
    while not is_reached():
        assert time.monotonic() < deadline, f"{what} was not reached within {limit_s} s"
        time.sleep(0.01)


def banner(host: Host, *, limit_s: float = 0.4) -> bytes:
    """What sshd says first; raises OSError where it does not."""
    with socket.create_connection((host.address, 22), timeout=limit_s) as connection:
        return connection.recv(4)


def answers(host: Host) -> bool:
    """Whether its sshd can be reached."""
    try:
        return banner(host) == b"SSH-"
    except OSError:
        return False


@contextlib.contextmanager
def session(lab: Laboratory, host: Host, *argv: str) -> Iterator[subprocess.Popen[bytes]]:
    """An ssh session in which a command runs."""
    command = lab.submitter.ssh_command(host, *argv)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as started:
        try:
            yield started
        finally:
            started.kill()


@pytest.mark.parametrize("direction", ["both", "in", "out"])
def test_cut_host_is_silent_and_comes_back(lab: Laboratory, direction: str) -> None:
    """Whichever way is cut, nobody is refused: nothing comes back; other hosts are not concerned."""
    lab.faults.cut("lab1", direction)  # type: ignore[arg-type]  # one of the three words
    with pytest.raises(TimeoutError):
        banner(lab[0])
    assert answers(lab[1])
    lab.faults.heal()
    wait_until(lambda: answers(lab[0]), what="the host")


def test_cut_from_one_peer_leaves_the_others(lab: Laboratory) -> None:
    """Two hosts may lose each other while the submitter reaches both."""
    lab.faults.cut("lab1", peer="lab2")
    assert answers(lab[0])
    assert answers(lab[1])
    with pytest.raises(LabError):
        lab[1].run("timeout", "0.5", "bash", "-c", "head -c 4 < /dev/tcp/lab1/22")


def test_refusing_host_resets_what_stands_and_what_comes(lab: Laboratory) -> None:
    """A session that stands ends at its next byte, and a new connection is refused."""
    with session(lab, lab[0], "cat") as open_session:
        assert open_session.stdin is not None and open_session.stdout is not None
        open_session.stdin.write(b"x")
        open_session.stdin.flush()
        assert open_session.stdout.read(1) == b"x"
        lab.faults.refuse("lab1")
        with pytest.raises(ConnectionRefusedError):
            banner(lab[0])
        open_session.stdin.write(b"y")
        open_session.stdin.flush()
        assert open_session.wait(timeout=10) == 255


def test_connection_lives_as_many_bytes_as_allowed(lab: Laboratory) -> None:
    """Each connection carries about the given number of bytes and is reset then; the next one starts anew."""
    lab.faults.reset_every("lab1", 200_000)
    # In small pieces: whatever the client has not read yet when the reset comes is lost to it.
    pieces = "for i in $(seq 1000); do head -c 5000 /dev/zero; sleep 0.01; done"
    for _ in range(2):
        with session(lab, lab[0], pieces) as open_session:
            assert open_session.stdout is not None
            assert 50_000 < len(open_session.stdout.read()) < 400_000
            assert open_session.wait(timeout=10) == 255
    lab.faults.heal("lab1")
    assert len(lab.submitter.ssh(lab[0], "head -c 1000000 /dev/zero").stdout) == 1_000_000


@pytest.mark.parametrize("command", ["head -c 500000 /dev/zero", "cat > /dev/null"])
def test_throttled_host_is_slow_both_ways(lab: Laboratory, command: str) -> None:
    """Half a megabyte takes about a second at 4 Mbit/s, there and back."""
    lab.faults.throttle("lab1", 4_000_000)
    began = time.monotonic()
    ssh = lab.submitter.ssh_command(lab[0], command)
    subprocess.run(ssh, input=bytes(500_000), stdout=subprocess.DEVNULL, check=True, timeout=20)
    assert 0.8 < time.monotonic() - began < 4
    lab.faults.heal("lab1")
    began = time.monotonic()
    subprocess.run(ssh, input=bytes(500_000), stdout=subprocess.DEVNULL, check=True, timeout=20)
    assert time.monotonic() - began < 0.8


def test_long_cable_delays_and_keeps_every_byte(lab: Laboratory) -> None:
    """A round trip takes twice the delay, to this machine and to other hosts, and data arrive whole."""
    lab.faults.delay("lab1", 0.1)
    began = time.monotonic()
    socket.create_connection((lab[0].address, 22), timeout=5).close()
    assert 0.19 < time.monotonic() - began < 0.5
    assert lab[1].run("bash", "-c", "head -c 4 < /dev/tcp/lab1/22") == "SSH-"
    assert len(lab.submitter.ssh(lab[0], "head -c 1000000 /dev/zero").stdout) == 1_000_000
    lab.faults.heal("lab1")
    began = time.monotonic()
    assert answers(lab[0])
    assert time.monotonic() - began < 0.15


def test_lossy_cable_loses_frames_and_tcp_repairs_it(lab: Laboratory) -> None:
    """Of frames some are lost, of a session nothing."""
    lab.faults.delay("lab1", 0.0, loss=0.05, seed=7)
    assert len(lab.submitter.ssh(lab[0], "head -c 300000 /dev/zero", limit_s=60).stdout) == 300_000


def test_frozen_host_does_nothing_until_thawed(lab: Laboratory) -> None:
    """Its kernel still accepts, nobody says a word; afterwards what ran runs on, and a stopped job stays stopped."""
    with session(lab, lab[0], "sleep 1000 & cat") as open_session:
        assert open_session.stdin is not None and open_session.stdout is not None
        wait_until(lambda: len(lab[0].processes()) == 3, what="both commands")
        [stopped] = [pid for pid, argv in lab[0].processes() if argv[0] == "sleep"]
        lab[0].run("sh", "-c", f"kill -STOP {stopped}")
        lab.faults.freeze("lab1")
        with pytest.raises(TimeoutError):
            banner(lab[0])
        assert {process.state for process in lab[0].all_processes() if process.pid != 1} == {"T"}
        lab.faults.heal()
        open_session.stdin.write(b"still here\n")
        open_session.stdin.flush()
        assert open_session.stdout.readline() == b"still here\n"
        assert [one.state for one in lab[0].all_processes() if one.argv[:1] == ["sleep"]] == ["T"]


@pytest.mark.timeout(600)
@pytest.mark.network
@pytest.mark.parametrize("release", [None, "bullseye", "trixie"])
def test_killed_session_leaves_its_command(lab_of: Callable[..., Laboratory], release: str | None) -> None:
    """The submitter sees the end of the session; the process runs on until it is killed too. So with every sshd."""
    lab = lab_of([HostOptions(rootfs=release)])
    with session(lab, lab[0], "exec sleep 1000") as open_session:
        # Before its exec it is a shell, whose start-up files have commands of their own.
        wait_until(lambda: ["sleep", "1000"] in [argv for _, argv in lab[0].processes()], what="the command")
        assert lab.faults.kill_sshd_sessions("lab1") >= 1
        assert open_session.wait(timeout=10) == 255
        wait_until(lambda: [argv for _, argv in lab[0].processes()] == [["sleep", "1000"]], what="the command alone")
        assert answers(lab[0])
        assert lab.faults.kill("lab1", "sleep", "1000") == 1
        wait_until(lambda: not lab[0].processes(), what="the end of the command")


def test_stopped_listener_keeps_sessions(lab: Laboratory) -> None:
    """Nobody new gets in; whoever is in stays."""
    with session(lab, lab[0], "cat") as open_session:
        assert open_session.stdin is not None and open_session.stdout is not None
        wait_until(lambda: bool(lab[0].processes()), what="the session")
        lab.faults.stop_sshd("lab1")
        with pytest.raises(ConnectionRefusedError):
            banner(lab[0])
        open_session.stdin.write(b"x")
        open_session.stdin.flush()
        assert open_session.stdout.read(1) == b"x"
        lab.faults.start_sshd("lab1")
        assert answers(lab[0])


def test_rebooted_host_keeps_its_home_only(lab: Laboratory) -> None:
    """Processes and temporary files are gone, the boot id is new, files at home and its keys are the same."""
    lab.submitter.ssh(lab[0], "echo kept > ~/file; touch /tmp/gone /dev/shm/gone; (sleep 1000 >&- 2>&- <&- &)")
    assert lab[0].processes()
    before = lab[0].run("cat", "/proc/sys/kernel/random/boot_id")
    lab.faults.reboot("lab1")
    assert lab[0].run("cat", "/proc/sys/kernel/random/boot_id") != before
    assert lab[0].processes() == []
    assert lab.submitter.ssh(lab[0], "cat ~/file; ls /tmp /dev/shm").stdout.split() == ["kept", "/dev/shm:", "/tmp:"]


def test_power_failure_says_nothing_to_peers(lab: Laboratory) -> None:
    """No end of a connection is heard; afterwards there is no way to the host, and heal switches it on."""
    with socket.create_connection((lab[0].address, 22), timeout=5) as connection:
        assert connection.recv(4) == b"SSH-"
        connection.recv(4096)
        lab.faults.power_off("lab1")
        connection.settimeout(0.5)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        with pytest.raises(LabError, match="lab1 is switched off"):
            lab[0].processes()
        lab.faults.heal()
        assert answers(lab[0])


@pytest.mark.lab(hosts=[HostOptions(home_size_bytes=1 << 20), HostOptions()])
def test_filled_disk_is_full_until_freed(lab: Laboratory) -> None:
    """The user gets ENOSPC at home; a host that shares this machine's disk is never filled."""
    lab.faults.fill_disk("lab1")
    with pytest.raises(OSError, match="No space left") as caught:
        lab[0].path("/home/lab/other").write_bytes(bytes(10_000))
    assert caught.value.errno == errno.ENOSPC
    assert "No space left" in lab.submitter.ssh(lab[0], "head -c 100000 /dev/zero > ~/file").stderr
    lab.faults.reboot("lab1")
    assert "No space left" in lab.submitter.ssh(lab[0], "head -c 100000 /dev/zero > ~/file").stderr
    lab.faults.free_disk("lab1")
    assert lab.submitter.ssh(lab[0], "head -c 100000 /dev/zero > ~/file").returncode == 0
    with pytest.raises(LabError, match="home_size_bytes"):
        lab.faults.fill_disk("lab2")


def test_wiped_host_still_lets_the_user_in(lab: Laboratory) -> None:
    """Nothing of what was written is left, and the key still fits."""
    lab.submitter.ssh(lab[0], "mkdir -p ~/a/b; touch ~/a/b/c /tmp/d /dev/shm/e")
    lab.faults.wipe("lab1")
    done = lab.submitter.ssh(lab[0], "find ~ /tmp /dev/shm -type f -user lab 2>/dev/null")
    assert (done.stdout, done.returncode) == ("/home/lab/.bashrc\n", 0)


def test_changed_host_keys_are_refused_by_ssh(lab: Laboratory) -> None:
    """The submitter's known_hosts does not fit any more."""
    lab.faults.change_host_keys("lab1")
    assert "HOST IDENTIFICATION HAS CHANGED" in lab.submitter.ssh(lab[0], "true").stderr
