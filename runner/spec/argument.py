"""What the kernel takes as one argument or one environment variable of a process."""

from __future__ import annotations

from runner.errors import UsageError

# Linux's MAX_ARG_STRLEN, the closing NUL included: execve refuses anything longer with E2BIG.
SIZE_LIMIT_BYTES = 128 * 1024


def check_size(text: str, name: str) -> None:
    """Raises UsageError where no process can be given `text`: a NUL character, or too long. `name` says what it is."""
    if "\0" in text:
        raise UsageError(f"{name} has a NUL character in it; no process can be given one")
    size_bytes = len(text.encode("utf-8", "surrogateescape")) + 1
    if size_bytes > SIZE_LIMIT_BYTES:
        raise UsageError(
            f"{name} is {size_bytes - 1} bytes long; Linux gives a process at most {SIZE_LIMIT_BYTES - 1} in one piece",
            hint="write it to a file in the source folder and pass the file's name",
        )


def check_argument(argument: object, index: int) -> None:
    """Raises UsageError unless `argument` can be the `index`-th argument of a script."""
    if not isinstance(argument, str):
        raise UsageError(f"arguments[{index}] must be text, found {argument!r}")
    check_size(argument, f"arguments[{index}]")
