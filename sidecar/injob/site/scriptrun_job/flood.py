"""Standard output to a log: every line live, and a flood of lines nearly as fast as plain Python's blocks.

    line mode --more than 5 MB/s--> flood mode (blocks, flushed every 50 ms) --less than 1 MB/s--> line mode

Line mode costs a system call a line (measured: 3 million lines of 100 bytes take 6.4 s, in blocks 1.1 s). Who looks
is a thread of its own, known to no `threading`; it is gone while the process forks, because a fork next to a thread
that holds the stream's lock leaves the child without output, and Python 3.12 and newer warn about it.

Why flushing from another thread is safe: under the GIL, TextIOWrapper takes its pending text and asks for the
buffer's lock in one step, and who writes holds that lock only after having taken all pending text. So the thread
never holds text while it waits, and a thread's lines stay in order.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` imports `enum`; typeshed knows only that one.
import _thread
import atexit
import io
import os
import stat
import sys
import time

TYPE_CHECKING = False  # As in launch.py.
if TYPE_CHECKING:
    from typing import Any, Optional

# Above this a system call a line is felt. Smaller: short bursts lose "live" for 50 ms. Larger: slow floods stay slow.
_FLOOD_BYTES_PER_S = 5_000_000
_CALM_BYTES_PER_S = 1_000_000
_BLOCK_BYTES = 64 * 1024
# How late a line may show in a flood. Smaller costs system calls, larger is seen by the eye.
_FLUSH_S = 0.05
# Between two looks at the file's size. A flood is noticed after the shortest where the script starts with it, else
# after at most the longest; shorter wakes an idle process more often, longer leaves the flood's start slow.
_LOOK_SHORTEST_S = 0.01
_LOOK_LONGEST_S = 0.1
# Calm is judged over this time, so that a script that writes in gusts does not go to and fro.
_CALM_S = 0.5
# A fork from inside a signal handler may find the thread waiting for a lock that the forking thread itself holds.
_STOP_LIMIT_S = 1.0
# `os.fork` counts the process's threads and warns of more than one; the newer ones count after our hook has run.
_COUNTS_THREADS = sys.version_info >= (3, 12)
_COUNTS_THREADS_LATE = sys.version_info >= (3, 13)
# Before, two threads that print blocks at once lose lines, in plain Python too (CPython gh-119506).
_LOSES_BLOCKS_OF_THREADS = sys.version_info < (3, 13)


def start() -> None:
    """Makes standard output live, and fast where it is a file; PYTHONUNBUFFERED set by the user switches this off."""
    if "PYTHONUNBUFFERED" in os.environ:
        return
    os.environ["PYTHONUNBUFFERED"] = "1"  # For child processes: they have no watch of their own.
    try:
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        if sys.version_info < (3, 9):
            sys.stderr.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        if sys.stdout.fileno() != 1 or not stat.S_ISREG(os.fstat(1).st_mode):
            return
    except (AttributeError, OSError, ValueError):  # No stdout, or a closed one: nothing to make live.
        return
    _enlarge_blocks()
    watch = _Watch(sys.stdout)
    watch.start()
    os.register_at_fork(before=watch.before_fork, after_in_parent=watch.after_fork, after_in_child=watch.retire)
    atexit.register(watch.stop)


def _enlarge_blocks() -> None:
    """Gives standard output larger blocks: after the first lines none lies on a page of its own any more, which makes
    Python's usual 8 KiB dearer than in a fresh file (measured: 15 % of a flood of 1 KiB lines).
    """
    old: Any = sys.stdout
    encoding, errors = old.encoding, old.errors
    raw = old.detach().detach()
    new = io.TextIOWrapper(
        io.BufferedWriter(raw, _BLOCK_BYTES), encoding=encoding, errors=errors, newline="\n", line_buffering=True
    )
    new.mode = "w"  # type: ignore[misc]  # Python sets it on its own stream, too.
    if sys.__stdout__ is old:
        sys.__stdout__ = new  # type: ignore[misc]
    sys.stdout = new


class _Watch:
    """Looks at how fast the file behind standard output grows, and sets the stream's mode."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._is_retired = False
        self._stopping: Any = None  # A lock held by us; the thread ends once it can take it.
        self._ended: Any = None  # A lock held by the thread while it lives.
        self._thread_id: Optional[int] = None

    def start(self) -> None:
        """Starts the thread; where none can be had (a limit, say) the stream just stays in line mode."""
        stopping, ended = _thread.allocate_lock(), _thread.allocate_lock()
        stopping.acquire()
        ended.acquire()
        self._thread_id = None
        try:
            _thread.start_new_thread(self._watch, (stopping, ended))
        except RuntimeError:
            return
        self._stopping, self._ended = stopping, ended

    def stop(self) -> None:
        """Ends the thread, which leaves the stream in line mode and nothing of its own pending."""
        if self._ended is None:
            return
        self._stopping.release()
        self._ended.acquire(timeout=_STOP_LIMIT_S)
        self._stopping = self._ended = None

    def before_fork(self) -> None:
        """Sees to it that no thread runs and that nothing is pending, which a child would write a second time."""
        if self._ended is not None:
            self.stop()
            self._wait_until_uncounted()
        try:
            if self._stream is sys.stdout:
                self._stream.flush()
        except (OSError, ValueError, RuntimeError):  # Full, closed, or forked in the middle of a write.
            pass

    def after_fork(self) -> None:
        """Starts the thread again in the parent, where Python would not take it for the script's own."""
        if _COUNTS_THREADS_LATE:
            self.retire()
        if not self._is_retired:
            self.start()

    def retire(self) -> None:
        """Leaves the stream in line mode for good: in a child, which may leave by os._exit and take a block with it."""
        self._is_retired = True

    def _wait_until_uncounted(self) -> None:
        """Waits for the kernel to let go of the thread, a moment after its last statement; until then it counts."""
        if not _COUNTS_THREADS or self._thread_id is None:
            return
        task = "/proc/self/task/{}".format(self._thread_id)
        limit = time.monotonic() + _FLUSH_S
        while os.path.exists(task) and time.monotonic() < limit:
            time.sleep(0.0001)

    def _watch(self, stopping: Any, ended: Any) -> None:
        try:
            self._thread_id = _thread.get_native_id()
            _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())  # Signals are for the script's threads.
            self._look(stopping)
        except (OSError, ValueError, AttributeError):  # Closed, full, or taken apart by the script: leave it alone.
            pass
        finally:
            ended.release()

    def _may_flood(self) -> bool:
        """Whether the stream is still the script's standard output, and blocks are safe there."""
        is_alone = _thread._count() == 1  # This thread; the main one is not counted.
        return self._stream is sys.stdout and (is_alone or not _LOSES_BLOCKS_OF_THREADS)

    def _look(self, stopping: Any) -> None:
        """Waits for floods, until told to stop."""
        pause_s = _LOOK_SHORTEST_S
        growth = _Growth()
        while not stopping.acquire(timeout=pause_s):
            rate = growth.bytes_per_s()
            if rate > _FLOOD_BYTES_PER_S and self._may_flood() and self._stream.line_buffering:
                if self._flood(stopping):
                    return
                growth = _Growth()
            pause_s = _LOOK_SHORTEST_S if rate > _CALM_BYTES_PER_S else min(pause_s * 2, _LOOK_LONGEST_S)

    def _flood(self, stopping: Any) -> bool:
        """Flood mode, until calm or told to stop; True in the latter case."""
        self._stream.reconfigure(line_buffering=False)
        try:
            growth = _Growth()
            while not stopping.acquire(timeout=_FLUSH_S):
                self._stream.flush()
                if not self._may_flood():
                    return False
                if growth.age_s() > _CALM_S and growth.bytes_per_s() < _CALM_BYTES_PER_S:
                    return False
            return True
        finally:
            self._stream.reconfigure(line_buffering=True)


class _Growth:
    """How fast the file behind standard output grew since this was last asked."""

    def __init__(self) -> None:
        self._at, self._size_bytes = time.monotonic(), os.fstat(1).st_size

    def age_s(self) -> float:
        """The time since the last question."""
        return time.monotonic() - self._at

    def bytes_per_s(self) -> float:
        """The rate since the last question; 0 for anything but a file."""
        then, before = self._at, self._size_bytes
        self._at, self._size_bytes = time.monotonic(), os.fstat(1).st_size
        return (self._size_bytes - before) / max(self._at - then, 1e-6)
