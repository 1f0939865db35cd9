"""A password or passphrase on its way from a person to the one place that needs it."""

from __future__ import annotations

import getpass
import os

from runner.errors import UsageError

_LIMIT_BYTES = 64 * 1024


class Secret:
    """A text that does not show itself: not in a message, a log, a traceback's variables or a record."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the call that needs it and nothing else."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> str:
        raise TypeError("a secret is not written down")


def ask_secret(question: str) -> Secret:
    """Asks the person at the terminal, without echo. Raises UsageError where there is no terminal."""
    try:
        return Secret(getpass.getpass(f"{question}: "))
    except (EOFError, OSError) as error:
        raise UsageError(f"{question}: nobody is there to ask", hint="give it on a file descriptor instead") from error


def read_secret(descriptor: int) -> Secret:
    """The first line of an open file descriptor, which is then closed. Raises UsageError where it cannot be read."""
    try:
        with os.fdopen(descriptor, "rb") as stream:
            line = stream.readline(_LIMIT_BYTES)
    except (OSError, ValueError) as error:
        raise UsageError(f"no secret can be read from file descriptor {descriptor}: {error}") from error
    text = line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
    if not text:
        raise UsageError(f"file descriptor {descriptor} holds an empty secret")
    return Secret(text)
