"""A FIFO that wakes whoever waits: a hint only, so a lost ring costs time and never a record."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def hang(path: Path) -> int:
    """A descriptor that becomes readable when somebody rings; the FIFO is made where there is none.

    Opened for reading and writing, so that it never reports an end while nobody rings.
    """
    with contextlib.suppress(FileExistsError):
        os.mkfifo(path, 0o600)
    return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)


def ring(path: Path) -> None:
    """Wakes whoever hung the bell; nobody there, or a full pipe, is as good as rung."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(descriptor, b"!")
        finally:
            os.close(descriptor)


def silence(descriptor: int) -> None:
    """Takes every ring that has arrived."""
    with contextlib.suppress(BlockingIOError):
        while len(os.read(descriptor, 4096)) == 4096:
            pass
