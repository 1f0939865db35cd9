"""The two people of a host: `lab` logs in by key, `guest` by password; neither is known to the machine itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

GUEST_PASSWORD = "guest-password"
# `openssl passwd -6 -salt scriptrunlab guest-password`; written down because Python 3.13 has no crypt any more.
_GUEST_HASH = "$6$scriptrunlab$7VKKmZKAc3qKZAkUMIa3AryySUM8v5pzUIaWaEWbvApzibIg/7TqGph5U1t50jkhTv9f0aYhRsORRQ8NMQnXS/"
# "*" is no password at all; "!" would be a locked account, which sshd without PAM keeps out even with a key.
_NO_PASSWORD = "*"


class User(NamedTuple):
    """One of them; group id and user id are the same."""

    name: str
    uid: int
    password_hash: str

    @property
    def home(self) -> str:
        """The home inside the host."""
        return f"/home/{self.name}"


def users(etc: Path) -> tuple[User, User]:
    """(lab, guest) with the first two ids from 1500 on that this /etc does not use."""
    used = {int(line.split(":")[2]) for name in ("passwd", "group") for line in (etc / name).read_text().splitlines()}
    free = [number for number in range(1500, 60000) if number not in used]
    return User("lab", free[0], _NO_PASSWORD), User("guest", free[1], _GUEST_HASH)


def write_accounts(etc: Path, people: tuple[User, ...], *, into: Path, login_shell: str) -> None:
    """Copies of passwd, group and shadow from `etc` with the people added; the originals stay as they are."""
    added = {
        "passwd": [f"{user.name}:x:{user.uid}:{user.uid}::{user.home}:{login_shell}" for user in people],
        "group": [f"{user.name}:x:{user.uid}:" for user in people],
        "shadow": [f"{user.name}:{user.password_hash}:19000:0:99999:7:::" for user in people],
    }
    for name, lines in added.items():
        original = (etc / name).read_text()
        (into / name).write_text(original + "".join(f"{line}\n" for line in lines))
    (into / "shadow").chmod(0o600)


def make_homes(folder: Path, people: tuple[User, ...], *, bashrc: str) -> None:
    """An empty home each where there is none yet, with a .bashrc."""
    for user in people:
        home = folder / user.name
        home.mkdir(mode=0o755, parents=True, exist_ok=True)
        (home / ".bashrc").write_text(bashrc)
        for path in (home, home / ".bashrc"):
            os.chown(path, user.uid, user.uid)
