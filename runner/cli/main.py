"""The door: finds the subcommand, loads only that one, and turns every error into a message and an exit code."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

import click

from runner.errors import RunnerError
from runner.version import VERSION

# What a shell reports for a program that SIGPIPE or SIGINT ended; ours end by themselves, but say the same.
_EXIT_BROKEN_PIPE = 141
_EXIT_INTERRUPTED = 130


class Entry(NamedTuple):
    """Where a subcommand is, and what the overview says of it, so that `--help` need not load it."""

    target: str
    help: str
    is_hidden: bool = False


ENTRIES = {
    "submit": Entry("runner.cli.submit:command", "Start a run from a config file."),
    "logs": Entry("runner.cli.logs:command", "Show a run's logs, merged and labelled."),
    "status": Entry("runner.cli.status:command", "Say how a run is, and why it failed."),
    "ps": Entry("runner.cli.ps:command", "List a run's processes."),
    "cancel": Entry("runner.cli.cancel:command", "Stop a run and everything it started."),
    "attach": Entry("runner.cli.attach:command", "Follow a run to its end; resume it if nobody leads it."),
    "metrics": Entry("runner.cli.metrics:command", "Show what a run logged."),
    "history": Entry("runner.cli.history:command", "List and describe all runs."),
    "compute": Entry("runner.cli.compute:command", "Attach, trust and look after machines."),
    "environment": Entry("runner.cli.environment:command", "List, build and clear images and environments."),
    "doctor": Entry("runner.cli.doctor:command", "Say what this machine has, and what it lacks."),
    "azureml": Entry("runner.cli.azureml:command", "Make `import azureml.core` work in this Python."),
    "init": Entry("runner.cli.init:command", "Make a workspace in this folder."),
    "mirror": Entry("runner.cli.mirror:command", "Copy a run to an MLflow server.", is_hidden=True),
    "controller": Entry("runner.cli.controller:command", "Lead one run (started by submit).", is_hidden=True),
}


class LazyGroup(click.Group):
    """A group that knows its subcommands' names and first lines, and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every name that a person may type, in the order of a run's life."""
        return [name for name, entry in ENTRIES.items() if not entry.is_hidden]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The subcommand, loaded now; None where there is none of that name."""
        entry = ENTRIES.get(cmd_name)
        if entry is None:
            return None
        module_name, attribute = entry.target.split(":")
        found = getattr(importlib.import_module(module_name), attribute)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the overview without loading a single subcommand."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, ENTRIES[name].help) for name in self.list_commands(ctx)])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, but an unknown name is answered with the one that was probably meant."""
        if args and args[0] not in ENTRIES and not args[0].startswith("-"):
            import difflib

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            ctx.fail(f"there is no command {args[0]!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Reads the command line; `--help` and `--version` are answered here already."""
        with _quiet_without_reader():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the subcommand."""
        with _quiet_without_reader():
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result


@contextlib.contextmanager
def _quiet_without_reader() -> Iterator[None]:
    """Ends the command without a word where nobody reads its output any more (`runner logs last | head`)."""
    try:
        yield
    except BrokenPipeError as error:
        # Python flushes stdout once more on its way out, and would complain about the same broken pipe.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise click.exceptions.Exit(_EXIT_BROKEN_PIPE) from error


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.version_option(VERSION, prog_name="runner", message="%(prog)s %(version)s")
def command() -> None:
    """Run your script on your own machines: every process, every log, one folder.

    RUN is a run's id, the beginning of one, or "last".
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line `arguments` (without the program's name) and exits with its exit code."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code; messages are on stderr by then."""
    _open_missing_streams()
    try:
        result = command.main(
            args=None if arguments is None else list(arguments), prog_name="runner", standalone_mode=False
        )
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return _EXIT_INTERRUPTED
    except RunnerError as error:
        _complain(str(error))
        return error.exit_code
    except OSError as error:
        _complain(str(error))
        return RunnerError.exit_code
    return result if isinstance(result, int) else 0


def _complain(text: str) -> None:
    from runner.cli.tty import complain

    complain(text)


def _open_missing_streams() -> None:
    """A stream that a shell closed (`>&-`) leads nowhere; its number must not go to the next file that is opened."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDWR)
            if descriptor != number:
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w", encoding="utf-8"))
