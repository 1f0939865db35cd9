"""Hands a person's secrets to a controller: through a pipe, never by an argument, a variable or a file."""

from __future__ import annotations

import contextlib
import json
from typing import IO

from runner.transports.ssh.authentication import Secrets
from runner.transports.ssh.secret import Secret

# As many as two secrets of the greatest length can take, escaped.
_LIMIT_BYTES = 1024 * 1024


def kinds(secrets: Secrets) -> list[str]:
    """Which secrets there are, by name: what a run's record may say of them."""
    given = {"password": secrets.password, "passphrase": secrets.passphrase}
    return [name for name, secret in given.items() if secret is not None]


def write_secrets(pipe: IO[bytes], secrets: Secrets) -> None:
    """Writes them into a pipe, which is then closed. A reader that is gone is found to be gone by who waits for it."""
    given = {"password": secrets.password, "passphrase": secrets.passphrase}
    content = json.dumps({name: secret.reveal() for name, secret in given.items() if secret is not None})
    with contextlib.suppress(BrokenPipeError), pipe:
        pipe.write(content.encode("ascii"))


def read_secrets(pipe: IO[bytes]) -> Secrets:
    """What `write_secrets` wrote at the other end; none where the writer died before it was done."""
    try:
        found = json.loads(pipe.read(_LIMIT_BYTES))
    except ValueError:
        return Secrets()
    given = {name: Secret(str(found[name])) for name in ("password", "passphrase") if name in found}
    return Secrets(password=given.get("password"), passphrase=given.get("passphrase"))
