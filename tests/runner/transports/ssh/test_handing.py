"""Secrets go to the controller through a pipe."""

from __future__ import annotations

import os

import pytest

from runner.transports.ssh.authentication import Secrets
from runner.transports.ssh.handing import kinds, read_secrets, write_secrets
from runner.transports.ssh.secret import Secret

AWKWARD = "pass word\u00e9\udc80'\"\\"


@pytest.mark.parametrize("secrets", [Secrets(), Secrets(password=Secret(AWKWARD)), Secrets(passphrase=Secret("x" * 9))])
def test_what_is_written_is_read(secrets: Secrets) -> None:
    """Every secret arrives as it was, whatever letters it has, and what was not given is absent."""
    source, target = os.pipe()
    with os.fdopen(source, "rb") as reader:
        write_secrets(os.fdopen(target, "wb"), secrets)
        found = read_secrets(reader)
    assert kinds(found) == kinds(secrets)
    for one, other in ((found.password, secrets.password), (found.passphrase, secrets.passphrase)):
        assert one is other is None or (one is not None and other is not None and one.reveal() == other.reveal())


def test_writer_that_died_gave_none() -> None:
    """A pipe that ends too early holds no secret; a reader that is gone is no error of the writer."""
    source, target = os.pipe()
    os.write(target, b'{"password": "hal')
    os.close(target)
    with os.fdopen(source, "rb") as reader:
        assert kinds(read_secrets(reader)) == []
    source, target = os.pipe()
    os.close(source)
    write_secrets(os.fdopen(target, "wb"), Secrets(password=Secret("nobody reads this")))
