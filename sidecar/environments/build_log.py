"""Runs one command of a build with its output going live into the build log, and says how it ended."""

from __future__ import annotations

import itertools
import os
import shlex
import signal
import subprocess
import textwrap
from typing import BinaryIO, List, Mapping, Optional, Sequence

from sidecar.environments.failure import BuildFailed

_TAIL_BYTES = 16 * 1024
_TAIL_LINES = 10
_REASON_LETTERS = 400  # the whole reason of pip and of uv, and not a compiler's log
# What the output says, and what to try then. The first that is found counts.
_HINTS = (
    ("No space left on device", "free some space where the environments are kept"),
    ("ensurepip", "this Python lacks its venv module: apt install python3-venv on Debian and Ubuntu, or install uv"),
    ("No module named venv", "this Python lacks its venv module: apt install python3-venv, or install uv"),
    ("name resolution", "the package index cannot be reached: check the network, the proxy, PIP_INDEX_URL"),
    ("NewConnectionError", "the package index cannot be reached: check the network, the proxy, PIP_INDEX_URL"),
    ("error sending request", "the package index cannot be reached: check the network, the proxy, PIP_INDEX_URL"),
    ("CERTIFICATE_VERIFY_FAILED", "the index's certificate is not trusted: set PIP_CERT or SSL_CERT_FILE"),
    ("No matching distribution", "check the name and the version; is there a build for this Python?"),
    ("No solution found", "the requirements contradict each other, or one of them does not exist"),
    ("ResolutionImpossible", "the requirements contradict each other"),
    ("Invalid requirement", "correct the line in pip_requirements"),
)


class BuildLog:
    """The log of one build: our own lines, and whatever the commands print, in order."""

    def __init__(self, stream: BinaryIO, environ: Mapping[str, str]) -> None:
        self._stream = stream
        self._environ = dict(environ)

    def say(self, sentence: str) -> None:
        """One line of our own."""
        self._stream.write(sentence.encode("utf-8", "backslashreplace") + b"\n")
        self._stream.flush()

    def run(self, argv: Sequence[str], *, cwd: Optional[str]) -> None:
        """Runs a command to its end. Raises BuildFailed where it fails; whatever stops us stops it as well."""
        self.say(f"$ {shlex.join(argv)}")
        start = os.fstat(self._stream.fileno()).st_size
        try:
            process = subprocess.Popen(
                list(argv),
                cwd=cwd,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=self._stream.fileno(),
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise BuildFailed(f"{argv[0]} cannot be started: {error.strerror}") from error
        try:
            code = process.wait()
        except BaseException:
            _kill_group(process)
            raise
        if code != 0:
            raise self._failure(argv, code, start)

    def _failure(self, argv: Sequence[str], code: int, start: int) -> BuildFailed:
        output = self._tail(start)
        lines = [line for line in output.splitlines() if line.strip()]
        how = f"exit code {code}" if code > 0 else f"signal {signal.Signals(-code).name}"
        what = " ".join(os.path.basename(word) if word == argv[0] else word for word in argv[:4])
        reason = _telling_line(lines)
        hint = next((hint for text, hint in _HINTS if text in output), None)
        return BuildFailed(
            f"`{what} ...` failed with {how}{': ' + reason if reason else ''}",
            hint=hint or f"read the end of {self._name()}",
            last_lines=lines[-_TAIL_LINES:],
        )

    def _name(self) -> str:
        name = getattr(self._stream, "name", None)
        return os.path.basename(name) if isinstance(name, str) else "the build log"

    def _tail(self, start: int) -> str:
        """The end of what was logged since byte `start`; empty where the log cannot be read back (a pipe, say)."""
        name = getattr(self._stream, "name", None)
        # The log may be open for writing only, and may have been renamed: /proc leads to the very file.
        for path in (f"/proc/self/fd/{self._stream.fileno()}", name):
            if not isinstance(path, str) or not os.path.isfile(path):
                continue
            with open(path, "rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                stream.seek(max(start, size - _TAIL_BYTES))
                return stream.read().decode("utf-8", "replace")
        return ""


def _telling_line(lines: List[str]) -> str:
    """What says why: the last line marked as an error with those indented below it, else the last line."""
    for index in range(len(lines) - 1, -1, -1):
        if lines[index].lower().startswith(("error", "fatal")):
            below = itertools.takewhile(lambda line: line[0].isspace(), lines[index + 1 :])
            words = " ".join([lines[index], *below]).split()
            return textwrap.shorten(" ".join(words), _REASON_LETTERS, placeholder=" ...")
    return lines[-1].strip() if lines else ""


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
