"""Other systems for hosts: a Debian release with its own Python and sshd, made once by debootstrap and kept.

`python -m tests.lab.rootfs [NAME ...]` makes them ahead of time (under a minute each on a quick mirror).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.lab.cache import claimed
from tests.lab.command import LabError, run

# Release by release the Python that it brings.
PYTHONS = {"bullseye": "3.9", "trixie": "3.13"}
_PACKAGES = ("python3", "python3-venv", "openssh-server")
# Nothing reads these on a host, and they are half of what debootstrap leaves.
_DISPENSABLE = ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale")
# A slow mirror may take its time; a silent one must not hold up everything.
_LIMIT_S = 600


def debian_mirror() -> str:
    """Where this machine gets its own Debian packages from; raises LabError where it gets none."""
    form = "$(ORIGIN) $(RELEASE) $(REPO_URI)"
    for line in run(["apt-get", "indextargets", "--format", form, "Created-By: Packages"]).splitlines():
        origin, release, address = line.split()
        if origin == "Debian" and "-" not in release:  # Updates and security repeat only some packages.
            return address
    raise LabError("apt on this machine has no Debian archive (or no lists yet: apt-get update)")


def rootfs(name: str) -> Path:
    """The root folder of a release; makes it if it is not there yet."""
    if name not in PYTHONS:
        raise LabError(f"no system {name!r} for hosts (there are {', '.join(PYTHONS)})")
    with claimed(f"rootfs-{name}") as kept:
        if not kept.is_dir():
            _make(name, kept)
        return kept


def _make(name: str, kept: Path) -> None:
    """Makes it beside its place and moves it there once it is whole."""
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=f"new-{name}-") as new:
        made = Path(new, "root")
        command = ["debootstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}", name, str(made)]
        try:
            with open(kept.with_suffix(".log"), "w") as log:
                done = subprocess.run([*command, debian_mirror()], stdout=log, stderr=log, timeout=_LIMIT_S)
        except FileNotFoundError:
            raise LabError("debootstrap is not installed (apt install debootstrap)") from None
        if done.returncode != 0:
            said = kept.with_suffix(".log").read_text(errors="replace").splitlines()[-3:]
            raise LabError(f"debootstrap {name} ended with {done.returncode}: {said}")
        for path in _DISPENSABLE:
            shutil.rmtree(made / path)
        for path in ("etc/ssh", "home"):  # Mounted on.
            (made / path).mkdir(exist_ok=True)
        for path in ("etc/hosts", "etc/hostname"):
            (made / path).touch()
        made.chmod(0o755)
        os.rename(made, kept)


if __name__ == "__main__":
    for wanted in sys.argv[1:] or PYTHONS:
        print(rootfs(wanted))
