"""What can happen to hosts and cables; `heal` undoes all of it.

A host is given by its name, its index from 0, or itself. Faults of the network are rules in the host's own namespace:
nothing of this machine's is touched. They end when the host is switched off, as does a long cable.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Union

from tests.lab import keys
from tests.lab.command import LabError, run
from tests.lab.host import Host
from tests.lab.network import BRIDGE, port
from tests.lab.process import Process

if TYPE_CHECKING:
    from tests.lab.laboratory import Laboratory

Which = Union[str, int, Host]
Direction = Literal["both", "in", "out"]
_FROZEN = "frozen.json"
_FILL_ATTEMPTS = 20
_WIPED = ("/tmp", "/var/tmp", "/dev/shm")


class Faults:
    """The faults of a lab."""

    def __init__(self, lab: Laboratory) -> None:
        self._lab = lab

    # The network.

    def cut(self, host: Which, direction: Direction = "both", *, peer: Which | None = None) -> None:
        """Drops what the host sends ("out"), what is sent to it ("in"), or both; with `peer` only to and from that one.

        `peer="submitter"` is this machine.
        """
        if direction in ("both", "in"):
            self._rule(host, "INPUT", "-i", "eth0", *self._peer("-s", peer), "-j", "DROP")
        if direction in ("both", "out"):
            self._rule(host, "OUTPUT", "-o", "eth0", *self._peer("-d", peer), "-j", "DROP")

    def refuse(self, host: Which) -> None:
        """Resets every ssh connection, new ones and those that stand."""
        self._rule(host, "INPUT", *_SSH_TO_HOST, "-j", "REJECT", "--reject-with", "tcp-reset")

    def reset_every(self, host: Which, size_bytes: int) -> None:
        """Resets each ssh connection to the host once so many bytes have gone over it, both ways together."""
        found = self._lab.find(host)
        # Bytes are counted only for connections that begin after this.
        found.in_network("sh", "-c", "echo 1 > /proc/sys/net/netfilter/nf_conntrack_acct")
        connection = ["--connbytes", f"{size_bytes}:", "--connbytes-dir", "both", "--connbytes-mode", "bytes"]
        reset = ["-j", "REJECT", "--reject-with", "tcp-reset"]
        self._rule(found, "INPUT", *_SSH_TO_HOST, "-m", "connbytes", *connection, *reset)

    def throttle(self, host: Which, bits_per_second: int) -> None:
        """Limits what the host sends and what is sent to it, each to this rate."""
        found = self._lab.find(host)
        # At least one frame must fit into the bucket, or nothing ever leaves.
        burst = max(1600, bits_per_second // 8 // 100)
        limit = ["tbf", "rate", f"{bits_per_second}bit", "burst", str(burst), "latency", "400ms"]
        found.in_network("tc", "qdisc", "replace", "dev", "eth0", "root", *limit)
        run(self._lab.switch.inside(["tc", "qdisc", "replace", "dev", port(found.index), "root", *limit]))

    def delay(self, host: Which, delay_s: float, *, loss: float = 0.0, seed: int = 0) -> None:
        """Holds every frame back for so long, in each direction (a round trip takes twice that), and loses some."""
        found = self._lab.find(host)
        self._shorten(found)
        cable = {
            "host": found.running.pid,
            "switch": self._lab.switch.holder.pid,
            "port": port(found.index),
            "tap": f"tap{found.index + 1}",
            "delay_s": delay_s,
            "loss": loss,
            "seed": seed,
        }
        program = [sys.executable, "-I", "-S", str(Path(__file__).with_name("wire.py")), json.dumps(cable)]
        with self._lab.owner_handle() as owner_fd:
            started = subprocess.Popen(
                [*program, str(owner_fd)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                pass_fds=[owner_fd],
                start_new_session=True,
            )
        assert started.stdout is not None
        with started.stdout as said:
            is_up = said.readline() == b"up\n"
        found.cable = started
        found.wire = Process.of(started.pid) if is_up else None
        self._lab.record()
        if not is_up:
            raise LabError(f"no long cable to {found.name}: wire.py ended with {started.wait()}")

    # Processes.

    def freeze(self, host: Which) -> None:
        """Stops every process of the host; its kernel goes on answering (cut it as well for a machine that hangs)."""
        found = self._lab.find(host)
        frozen = [Process(*entry) for entry in self._frozen(found)]
        while True:  # Until a look finds no new one: some were just being started.
            # The first process stays awake to notice the end of the lab; nothing of a job depends on it.
            going = [process for process in found.all_processes() if process.pid != 1 and process.state != "T"]
            going = [process for process in going if process.outer_pid not in {one.pid for one in frozen}]
            if not going:
                break
            for process in going:
                try:
                    frozen.append(Process.of(process.outer_pid))
                    os.kill(process.outer_pid, signal.SIGSTOP)
                except (FileNotFoundError, ProcessLookupError):
                    continue
            (found.folder / _FROZEN).write_text(json.dumps(frozen))

    def thaw(self, host: Which) -> None:
        """Lets go on what `freeze` stopped, and nothing else."""
        found = self._lab.find(host)
        for process in [Process(*entry) for entry in self._frozen(found)]:
            if process.is_alive:
                os.kill(process.pid, signal.SIGCONT)
        (found.folder / _FROZEN).unlink(missing_ok=True)

    def kill(self, host: Which, *words: str) -> int:
        """`kill -9` for the user's processes whose command line holds all these words; returns how many."""
        found = self._lab.find(host)
        mine = [process for process in found.all_processes() if process.uid == found.lab_user.uid]
        chosen = [process for process in mine if set(words) <= set(process.argv)]
        return sum(_kill(process.outer_pid) for process in chosen)

    def kill_sshd_sessions(self, host: Which) -> int:
        """`kill -9` for every sshd but the listener; what they started lives on. Returns how many."""
        sshds = [process for process in self._lab.find(host).all_processes() if process.comm.startswith("sshd")]
        return sum(_kill(process.outer_pid) for process in sshds if "[listener]" not in " ".join(process.argv))

    def stop_sshd(self, host: Which) -> None:
        """Ends the listener; sessions go on."""
        self._lab.find(host).set_sshd(is_up=False)

    def start_sshd(self, host: Which) -> None:
        """Starts the listener again."""
        self._lab.find(host).set_sshd(is_up=True)

    # The machine.

    def power_off(self, host: Which) -> None:
        """Pulls the cable and the plug: peers hear nothing, processes write nothing any more."""
        self._lab.power_off(self._lab.find(host))

    def power_on(self, host: Which) -> None:
        """Switches it on: the homes are as they were, /tmp and /dev/shm are empty, the boot id is new."""
        found = self._lab.find(host)
        if not found.is_on:
            self._lab.power_on(found)

    def reboot(self, host: Which) -> None:
        """`power_off` and `power_on`."""
        self.power_off(host)
        self.power_on(host)

    def wipe(self, host: Which) -> None:
        """Empties the homes and every temporary folder of the running host, under whatever runs there."""
        found = self._lab.find(host)
        homes = [f"/home/{person.name}" for person in found.people]
        for place in (*homes, *_WIPED):
            for path in found.path(place).iterdir():
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
        self._lab.make_homes(found)

    def fill_disk(self, host: Which, *, free_bytes: int = 0) -> None:
        """Leaves only so much of /home; for hosts with `home_size_bytes`, because others share this machine's disk."""
        found = self._lab.find(host)
        if found.options.home_size_bytes is None:
            raise LabError(f"{found.name} has no disk of its own to fill: give it home_size_bytes")
        self.free_disk(found)
        filler = self._filler(found)
        with open(filler, "wb") as stream:
            for attempt in range(_FILL_ATTEMPTS):
                disk = os.fstatvfs(stream.fileno())
                size_bytes = disk.f_bavail * disk.f_frsize - free_bytes
                if size_bytes <= 0:
                    return
                try:
                    os.posix_fallocate(stream.fileno(), os.fstat(stream.fileno()).st_size, size_bytes)
                except OSError as error:
                    # Whatever runs on the host has written in between: look again how much is left.
                    if error.errno != errno.ENOSPC or attempt == _FILL_ATTEMPTS - 1:
                        raise

    def free_disk(self, host: Which) -> None:
        """Takes away what `fill_disk` wrote."""
        self._filler(self._lab.find(host)).unlink(missing_ok=True)

    def change_host_keys(self, host: Which) -> None:
        """Gives it other host keys, which the submitter's known_hosts does not have."""
        found = self._lab.find(host)
        keys.make_host_keys(found.folder / "ssh")
        found.set_sshd(is_up=False)
        found.set_sshd(is_up=True)

    # The end.

    def heal(self, host: Which | None = None) -> None:
        """Undoes every fault of a host, or of all; one that is off is switched on. Changed keys and files stay so."""
        for found in [self._lab.find(host)] if host is not None else list(self._lab):
            self.power_on(found)
            self.thaw(found)
            for chain in ("INPUT", "OUTPUT"):
                found.in_network("iptables", "-w", "-F", chain)
            found.in_network("sh", "-c", "tc qdisc del dev eth0 root 2>/dev/null; true")
            at_switch = f"tc qdisc del dev {port(found.index)} root 2>/dev/null; true"
            run(self._lab.switch.inside(["sh", "-c", at_switch]))
            self._shorten(found)
            found.set_sshd(is_up=True)
            if found.options.home_size_bytes is not None:
                self.free_disk(found)

    # Inside.

    def _rule(self, host: Which, chain: str, *rule: str) -> None:
        self._lab.find(host).in_network("iptables", "-w", "-I", chain, *rule)

    def _peer(self, flag: str, peer: Which | None) -> list[str]:
        if peer is None:
            return []
        return [flag, self._lab.switch.subnet.submitter if peer == "submitter" else self._lab.find(peer).address]

    def _frozen(self, host: Host) -> list[list[int]]:
        try:
            found: list[list[int]] = json.loads((host.folder / _FROZEN).read_text())
        except FileNotFoundError:
            return []
        return found

    def _filler(self, host: Host) -> Path:
        """Beside the homes, where the user cannot see what it is."""
        return self._lab.homes(host) / ".filler"

    def _shorten(self, host: Host) -> None:
        """Takes a long cable away."""
        if host.wire is None:
            return
        host.end_wire()
        self._lab.switch.configure([f"link set {port(host.index)} master {BRIDGE} up"])
        self._lab.record()


# A reset of the other side's is let through, or the host's end would never hear of it.
_SSH_TO_HOST = ("-i", "eth0", "-p", "tcp", "--dport", "22", "!", "--tcp-flags", "RST", "RST")


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
