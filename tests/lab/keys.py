"""The keys of hosts and of the submitter; hosts' keys are made once and kept, because RSA takes its time."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from tests.lab.cache import cache_folder
from tests.lab.command import run

HOST_KEY_TYPES = ("ed25519", "ecdsa", "rsa")


def make_key(path: Path, *, kind: str = "ed25519", passphrase: str = "") -> str:
    """Makes `path` and `path`.pub; returns the public line without a comment."""
    bits = ["-b", "2048"] if kind == "rsa" else []
    run(["ssh-keygen", "-q", "-t", kind, *bits, "-N", passphrase, "-C", "lab", "-f", str(path)])
    return public_line(path)


def public_line(path: Path) -> str:
    """`type base64` of the key at `path`."""
    return " ".join(path.with_name(f"{path.name}.pub").read_text().split()[:2])


def host_key_name(kind: str) -> str:
    """As sshd calls it."""
    return f"ssh_host_{kind}_key"


def give_host_keys(index: int, folder: Path) -> None:
    """Puts the three keys of the host with this index into `folder`; made and kept in the cache the first time."""
    kept = cache_folder() / "host-keys" / str(index)
    if not kept.is_dir():
        kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent, prefix="new-") as new:
            made = Path(new, "keys")
            made.mkdir(mode=0o700)
            make_host_keys(made)
            try:
                os.rename(made, kept)
            except OSError:
                if not kept.is_dir():  # Else another lab was faster, and its keys are as good.
                    raise
    for path in kept.iterdir():
        shutil.copy2(path, folder / path.name)


def make_host_keys(folder: Path) -> None:
    """New keys in `folder` in place of any that are there."""
    for kind in HOST_KEY_TYPES:
        for path in folder.glob(f"{host_key_name(kind)}*"):
            path.unlink()
        make_key(folder / host_key_name(kind), kind=kind)
