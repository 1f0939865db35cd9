"""A lab: a switch, hosts, and the submitter's files, in one folder, with a record by which others find and clear it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from sidecar.contract import publish
from tests.lab import package_index, users
from tests.lab.command import LabError, run
from tests.lab.faults import Faults
from tests.lab.host import Host
from tests.lab.job_python import job_pythons
from tests.lab.network import MOST_HOSTS, Subnet, Switch
from tests.lab.options import HostOptions
from tests.lab.process import Process
from tests.lab.rootfs import rootfs
from tests.lab.submitter import Submitter

_BASE = Path("/tmp")
_PREFIX = "scriptrun-lab-"
_RECORD = "lab.json"
# More, each of which talks with each, would fill the kernel's table of neighbours, and then new ones are not found.
_ASKING_HOSTS = 16


class Laboratory:
    """Hosts that can be reached from this machine; use it in a `with`, or call `close`.

    Everything belongs to the process that made it and goes when that process ends, however it ends; only the folder
    may stay, until the next lab of this machine or `python -m tests.lab clean` sweeps it.
    """

    def __init__(self, folder: Path, owner: Process, switch: Switch, hosts: Mapping[str, Host]) -> None:
        self.folder = folder
        self.owner = owner
        self.switch = switch
        self.hosts = dict(hosts)
        self.submitter = Submitter(folder / "submitter", self.hosts)
        self.faults = Faults(self)
        self._holder: subprocess.Popen[bytes] | None = None
        self._proxy: subprocess.Popen[bytes] | None = None
        self._pip_settings: str | None = None
        self._record_lock = threading.Lock()

    @classmethod
    def start(cls, hosts: int | Sequence[HostOptions], options: HostOptions | None = None) -> Laboratory:
        """A lab with so many hosts, lab1, lab2, ..., all with `options`; or one host an entry of a sequence."""
        if isinstance(hosts, int):
            hosts = [options or HostOptions()] * hosts
        if not 1 <= len(hosts) <= MOST_HOSTS:
            raise LabError(f"a lab has 1 to {MOST_HOSTS} hosts, not {len(hosts)}")
        for name in {one.rootfs for one in hosts if one.rootfs is not None}:
            rootfs(name)
        sweep()
        folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=_BASE))
        owner = Process.of(os.getpid())
        _write_record(folder, {"owner": owner, "link": None, "holder": None, "hosts": []})
        with _pidfd(owner) as owner_fd:
            try:
                switch, holder = Switch.start(owner_fd)
            except BaseException:
                shutil.rmtree(folder)
                raise
            made = {
                (name := f"lab{index + 1}"): Host(
                    folder / name, index=index, name=name, subnet=switch.subnet, options=one
                )
                for index, one in enumerate(hosts)
            }
            lab = cls(folder, owner, switch, made)
            lab._holder = holder
            try:
                lab.record()
                lab._furnish()
                lab.power_on(*made.values())
            except BaseException:
                lab.close()
                raise
        return lab

    @classmethod
    def attach(cls, folder: Path) -> Laboratory:
        """The lab of another process, to be changed but not closed by this one."""
        record = _read_record(folder)
        if record is None or record["link"] is None:
            raise LabError(f"{folder} holds no lab")
        subnet = Subnet(record["subnet"])
        hosts = {}
        for entry in record["hosts"]:
            options = HostOptions(**{name: _frozen(value) for name, value in entry["options"].items()})
            host = Host(
                folder / entry["name"], index=entry["index"], name=entry["name"], subnet=subnet, options=options
            )
            host.init, host.unshare, host.wire = (
                Process(*entry[name]) if entry[name] else None for name in ("init", "unshare", "wire")
            )
            hosts[host.name] = host
        return cls(folder, Process(*record["owner"]), Switch(subnet, Process(*record["holder"])), hosts)

    def __enter__(self) -> Laboratory:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getitem__(self, host: str | int) -> Host:
        """A host by its name or by its index from 0."""
        return list(self.hosts.values())[host] if isinstance(host, int) else self.hosts[host]

    def __iter__(self) -> Iterator[Host]:
        return iter(self.hosts.values())

    def __len__(self) -> int:
        return len(self.hosts)

    def find(self, host: str | int | Host) -> Host:
        """The host that is meant."""
        return host if isinstance(host, Host) else self[host]

    def power_on(self, *hosts: Host) -> None:
        """Switches hosts on, all at once; returns when every sshd listens."""
        for host in hosts:
            # The first process is in the switch's mounts, so the plain path is right in there.
            home = host.own_homes if host.options.home is None else self.homes(host)
            host.plan_boot(home=home, shown=self._shown(), neighbours=self._neighbours())
        with self.owner_handle() as owner_fd:
            for host in hosts:
                host.begin(owner_fd=owner_fd, inside_switch=self.switch.inside)
            born = {host.index: host.wait_born() for host in hosts}
        self.record()
        self.switch.plug(born)
        for host in hosts:
            host.release()
        for host in hosts:
            host.wait_up()

    def power_off(self, *hosts: Host) -> None:
        """Takes the power away: nothing is said to whoever was connected."""
        for host in hosts:
            self.switch.unplug(host.index)
        for host in hosts:
            host.power_off()
        self.record()

    @contextlib.contextmanager
    def owner_handle(self) -> Iterator[int]:
        """A pidfd of the owner, for processes that are to end with it."""
        with _pidfd(self.owner) as handle:
            yield handle

    def close(self) -> None:
        """Ends every process of the lab, and removes its link and its folder; closing twice is closing once."""
        if not self.folder.exists():
            return
        for host in self:
            host.power_off()
        _end_recorded(self.folder)  # Another process may have switched hosts on meanwhile.
        if self._proxy is not None:
            package_index.end_proxy(self._proxy)
        self.switch.end()
        if self._holder is not None:
            self._holder.wait(timeout=10)
        shutil.rmtree(self.folder)

    def _furnish(self) -> None:
        """Writes the files of every host and of the submitter."""
        self.submitter.make_identity()
        if any(host.options.has_package_index for host in self):
            with self.owner_handle() as owner_fd:
                self._proxy = package_index.start_proxy(self.switch.subnet.submitter, owner_fd)
        addresses = {"submitter": self.switch.subnet.submitter} | {host.name: host.address for host in self}
        public_key = self.submitter.public_key
        for host in self:
            host.write_files(addresses=addresses, public_key=public_key)
            if host.options.home_size_bytes is not None:
                disk = f"size={host.options.home_size_bytes},mode=755"
                run(self.switch.inside(["mount", "-t", "tmpfs", "-o", disk, "home", str(host.own_homes)]))
            self.make_homes(host)
        self.submitter.write_files()
        self.submitter.compute_file()

    def homes(self, host: Host) -> Path:
        """Where this machine sees the host's /home, also while it is switched off."""
        if host.options.home is not None:
            return self.folder / "shared-homes" / host.options.home
        # A disk of a limited size is mounted in the switch's namespace only, so that it outlives the host's power.
        outside = (
            Path(f"/proc/{self.switch.holder.pid}/root") if host.options.home_size_bytes is not None else Path("/")
        )
        return outside / host.own_homes.relative_to("/")

    def make_homes(self, host: Host) -> None:
        """Gives the host's people their homes where they have none."""
        users.make_homes(self.homes(host), host.people, bashrc=host.options.bashrc)
        if host.options.has_package_index:
            if self._pip_settings is None:
                self._pip_settings = package_index.pip_settings(self.switch.subnet.submitter)
            package_index.write_pip_settings(self.homes(host), host.people, self._pip_settings)

    def _neighbours(self) -> dict[str, str]:
        """What hosts of a large lab need not ask each other: one kernel table of 1024 entries serves them all."""
        if len(self) <= _ASKING_HOSTS:
            return {}
        subnet = self.switch.subnet
        return {host.address: subnet.hardware_address(host.index) for host in self}

    def _shown(self) -> list[Path]:
        """Folders of the cache that jobs on the hosts may use."""
        return [job_pythons()] if job_pythons().is_dir() else []

    def record(self) -> None:
        """Writes down what would have to be cleared."""
        hosts = [
            {
                "name": host.name,
                "index": host.index,
                "options": dataclasses.asdict(host.options),
                "init": host.init,
                "unshare": host.unshare,
                "wire": host.wire,
            }
            for host in self
        ]
        subnet, holder = self.switch.subnet, self.switch.holder
        with self._record_lock:
            _write_record(
                self.folder,
                {"owner": self.owner, "subnet": subnet.number, "link": subnet.link, "holder": holder, "hosts": hosts},
            )


def labs() -> list[Path]:
    """The folders of all labs of this machine whose owner lives, the newest last."""
    return [folder for folder, is_owned in _folders() if is_owned]


def sweep() -> list[Path]:
    """Clears what labs have left whose owner has died; returns their folders."""
    swept = []
    for folder, is_owned in _folders():
        if is_owned:
            continue
        _end_recorded(folder)
        shutil.rmtree(folder, ignore_errors=True)
        swept.append(folder)
    return swept


def _end_recorded(folder: Path) -> None:
    """Ends every process that the record names."""
    record = _read_record(folder) or {"hosts": [], "holder": None}
    found = [entry[name] for entry in record["hosts"] for name in ("init", "unshare", "wire")] + [record["holder"]]
    for process in found:
        if process:
            Process(*process).end()


def _folders() -> Iterator[tuple[Path, bool]]:
    """(folder, whether its owner lives) of every lab."""
    for folder in sorted(_BASE.glob(f"{_PREFIX}*"), key=lambda path: path.lstat().st_mtime):
        record = _read_record(folder)
        if record is None:  # Its owner is in the name, and is just about to write it, or has died over it.
            owner = int(folder.name.removeprefix(_PREFIX).partition("-")[0])
            yield folder, Path(f"/proc/{owner}").exists()
        else:
            yield folder, Process(*record["owner"]).is_alive


def _write_record(folder: Path, record: Mapping[str, Any]) -> None:
    publish.write_whole(folder / _RECORD, publish.to_json(dict(record)))


def _read_record(folder: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((folder / _RECORD).read_bytes())
    except FileNotFoundError:
        return None
    return found


def _frozen(value: Any) -> Any:
    """A value of HostOptions as it was before it was written as JSON."""
    return tuple(value) if isinstance(value, list) else value


@contextlib.contextmanager
def _pidfd(process: Process) -> Iterator[int]:
    """A handle on a process that lives."""
    handle = os.pidfd_open(process.pid)
    try:
        if not process.is_alive:
            raise LabError("the lab's owner has ended")
        yield handle
    finally:
        os.close(handle)
