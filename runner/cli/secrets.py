"""How a person hands over a password or passphrase: asked for, or on a file descriptor; never as an argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from runner.transports.ssh.authentication import Secrets
    from runner.transports.ssh.secret import Secret

_Command = TypeVar("_Command", bound=Callable[..., Any])


def secret_options(command: _Command) -> _Command:
    """Adds the four options; the command takes them as the arguments of `read_secrets`."""
    for option in (
        click.option("--ask-password", is_flag=True, help="Ask for the password of the login."),
        click.option("--password-fd", type=int, metavar="N", help="Read that password from file descriptor N."),
        click.option("--ask-passphrase", is_flag=True, help="Ask for the passphrase of the private key."),
        click.option("--passphrase-fd", type=int, metavar="N", help="Read that passphrase from file descriptor N."),
    ):
        command = option(command)
    return command


def read_secrets(
    *, ask_password: bool, password_fd: int | None, ask_passphrase: bool, passphrase_fd: int | None
) -> Secrets:
    """The secrets that the options name. Raises UsageError where one cannot be read."""
    from runner.transports.ssh.authentication import Secrets

    return Secrets(
        password=_read("password", is_asked=ask_password, descriptor=password_fd),
        passphrase=_read("passphrase", is_asked=ask_passphrase, descriptor=passphrase_fd),
    )


def _read(name: str, *, is_asked: bool, descriptor: int | None) -> Secret | None:
    from runner.transports.ssh.secret import ask_secret, read_secret

    if descriptor is not None:
        return read_secret(descriptor)
    return ask_secret(name) if is_asked else None


def given_secrets(options: Mapping[str, Any]) -> Secrets | None:
    """As `read_secrets`, or None where no option asks for any."""
    if not any(value is not None and value is not False for value in options.values()):
        return None
    return read_secrets(**options)
