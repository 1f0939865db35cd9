"""Whether what is written meets a person's terminal, and may have colours."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import IO, TYPE_CHECKING, Any

from sidecar.contract import settings

if TYPE_CHECKING:
    from runner.logview.screen import Appearance


def is_terminal(stream: IO[Any]) -> bool:
    """Whether `stream` is a terminal; a closed one is not."""
    try:
        return stream.isatty()
    except (ValueError, OSError):
        return False


def is_coloured(stream: IO[Any], environ: Mapping[str, str] | None = None) -> bool:
    """Whether colours may be written to `stream`: a terminal that knows them, and no `NO_COLOR`."""
    environ = os.environ if environ is None else environ
    return is_terminal(stream) and not environ.get(settings.NO_COLOR) and environ.get("TERM") != "dumb"


def complain(text: str) -> None:
    """Prints `runner: text` on stderr, lines kept; what a machine said in it is harmless on a terminal."""
    import click

    if not text.replace("\n", "").isprintable():
        from runner.logview.terminal_text import harmless

        lines = text.split("\n")
        text = "\n".join(harmless(line.encode("utf-8", "replace"), is_coloured=False) for line in lines)
    click.echo(f"runner: {text}", err=True)


def bold(text: str, *, is_on: bool) -> str:
    """`text` in bold where `is_on`."""
    return f"\x1b[1m{text}\x1b[0m" if is_on else text


def red(text: str, *, is_on: bool) -> str:
    """`text` in bold red where `is_on`."""
    return f"\x1b[1;31m{text}\x1b[0m" if is_on else text


def appearance_of(stream: IO[Any], *, may_colour: bool = True) -> Appearance:
    """How logs are to look on `stream`: colours and progress bars in place on a terminal, plain lines elsewhere."""
    from runner.logview.screen import Appearance

    return Appearance(is_coloured=may_colour and is_coloured(stream), is_live=is_terminal(stream))
