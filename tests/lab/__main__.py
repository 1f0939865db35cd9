"""`python -m tests.lab`: a lab for a person, and its faults from a second terminal.

python -m tests.lab                    4 hosts until Ctrl-C
python -m tests.lab cut lab2           (any fault; --help lists them; heal undoes all)
python -m tests.lab clean              clears what labs left whose process was killed
"""

from __future__ import annotations

import argparse
import inspect
import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

from tests.lab import laboratory
from tests.lab.command import LabError
from tests.lab.faults import Faults
from tests.lab.laboratory import Laboratory
from tests.lab.options import HostOptions

_NUMBERS: dict[str, Callable[[str], Any]] = {"size_bytes": int, "bits_per_second": int, "delay_s": float}


def main(arguments: Sequence[str]) -> int:
    """Does what the command line says; returns the exit code."""
    chosen = _parser().parse_args(arguments)
    if os.geteuid() != 0:
        print("the lab makes namespaces and needs root: sudo make lab", file=sys.stderr)
        return 3
    try:
        if chosen.command == "start":
            return start(chosen)
        if chosen.command == "clean":
            return clean()
        return act(chosen)
    except LabError as problem:
        print(f"lab: {problem}", file=sys.stderr)
        return 3


def start(chosen: argparse.Namespace) -> int:
    """A lab that stands until Ctrl-C, SIGTERM or the end of the terminal."""
    options = HostOptions(
        rootfs=chosen.rootfs,
        login_shell=chosen.login_shell,
        home_size_bytes=chosen.home_size_bytes,
        has_loopback_name=chosen.loopback_name,
        has_docker_bridge=chosen.docker_bridge,
        has_package_index=chosen.package_index,
    )
    is_over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: is_over.set())
    with Laboratory.start(chosen.hosts, options) as lab:
        _introduce(lab)
        is_over.wait()
        print("\nclearing up")
    return 0


def clean() -> int:
    """Clears what dead labs left."""
    for folder in laboratory.sweep():
        print(f"cleared {folder}")
    for folder in laboratory.labs():
        print(f"{folder} is in use")
    return 0


def act(chosen: argparse.Namespace) -> int:
    """A fault in the newest lab, or in the one that --lab names."""
    folders = [folder for folder in laboratory.labs() if chosen.lab in (None, str(folder))]
    if not folders:
        raise LabError("no lab stands (make lab)")
    lab = Laboratory.attach(folders[-1])
    if chosen.host is not None and chosen.host not in lab.hosts:
        raise LabError(f"no host {chosen.host!r} (there are {', '.join(lab.hosts)})")
    if chosen.command == "processes":
        for pid, argv in lab[chosen.host].processes():
            print(pid, *argv)
        return 0
    try:
        done = _faults()[chosen.command](lab.faults, *[chosen.host] * bool(chosen.host), *_values(chosen))
    except (TypeError, ValueError) as problem:
        raise LabError(f"{chosen.command} {' '.join(chosen.values)}: {problem}") from problem
    if done is not None:
        print(done)
    return 0


def _faults() -> dict[str, Callable[..., Any]]:
    """The public methods of Faults by the names that a person types."""
    methods = inspect.getmembers(Faults, inspect.isfunction)
    return {name.replace("_", "-"): method for name, method in methods if not name.startswith("_")}


def _values(chosen: argparse.Namespace) -> list[Any]:
    """What follows the host: a number with the unit that its name says, or words."""
    names = list(inspect.signature(_faults()[chosen.command]).parameters)[2:]
    return [_NUMBERS.get(name, str)(value) for name, value in zip(names * len(chosen.values), chosen.values)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.lab", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command")
    parser.set_defaults(
        command="start",
        hosts=4,
        rootfs=None,
        login_shell="/bin/bash",
        home_size_bytes=None,
        loopback_name=False,
        docker_bridge=False,
        package_index=False,
    )
    starting = commands.add_parser("start", help="a lab until Ctrl-C")
    starting.add_argument("--hosts", type=int, default=4)
    starting.add_argument("--rootfs", help="bullseye (Python 3.9) or trixie (3.13); default: this machine's system")
    starting.add_argument("--login-shell", default="/bin/bash")
    starting.add_argument("--home-size-bytes", type=int)
    starting.add_argument("--loopback-name", action="store_true", help="hosts call themselves 127.0.1.1")
    starting.add_argument("--docker-bridge", action="store_true", help="hosts have a docker0 with one same address")
    starting.add_argument("--package-index", action="store_true", help="pip works on hosts")
    commands.add_parser("clean", help="clear what dead labs left")
    shown = {"processes": "what user lab runs there"}
    shown |= {name: (method.__doc__ or "").splitlines()[0] for name, method in _faults().items()}
    for name, text in shown.items():
        acting = commands.add_parser(name, help=text.replace("%", "%%"))
        acting.add_argument("host", nargs="?" if name == "heal" else None)
        acting.add_argument("values", nargs="*")
        acting.add_argument("--lab", help="the lab's folder; default: the newest")
    return parser


def _introduce(lab: Laboratory) -> None:
    """Says how to use it."""
    config = lab.submitter.ssh_config
    python = "python -m tests.lab"
    print(f"{len(lab)} hosts stand: {', '.join(f'{host.name} {host.address}' for host in lab)}")
    print(f"\n  log in           ssh -F {config} {lab[0].name}")
    print(f"  compute file     {lab.submitter.compute_file()}")
    print("  attach           runner compute attach lab COMPUTE_FILE")
    print(f"  its known_hosts  HOME={lab.submitter.home} runner submit CONFIG --set compute_target=lab")
    print(f"  a fault          {python} cut {lab[-1].name}      (second terminal; {python} --help lists all)")
    print(f"  undo all         {python} heal")
    print("\nCtrl-C ends it.", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
