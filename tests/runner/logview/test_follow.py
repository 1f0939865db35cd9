import io
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from runner.logview.follow import CaughtUp, Event, Progress, follow
from runner.logview.merge import Entry
from runner.logview.screen import Appearance, Screen
from runner.logview.show import follow_logs
from runner.logview.sources import find_sources
from sidecar.contract.layout import WorkspaceLayout, driver_log_name
from tests.doubles.run_folders import RunFolder, new_run


class Follower:
    """A follow that is turned by hand: the test holds the clock and says when to look."""

    def __init__(self, run: RunFolder) -> None:
        self.now_s = 0.0
        self.is_finished = False
        self._events = follow(
            lambda: find_sources(run.layout),
            is_finished=lambda: self.is_finished,
            pause=lambda _: None,
            clock=lambda: self.now_s,
        )

    def look(self) -> list[Event]:
        """One look at everything; empty where there was no news."""
        return list(self._until_caught_up())

    def finish(self) -> list[Event]:
        """All that is left once the run has ended."""
        self.is_finished = True
        return [event for event in self._events if not isinstance(event, CaughtUp)]

    def _until_caught_up(self) -> Iterator[Event]:
        for event in self._events:
            if isinstance(event, CaughtUp):
                return
            yield event


def payloads(events: list[Event]) -> list[bytes]:
    return [event.block.payload for event in events if isinstance(event, Entry)]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = new_run(WorkspaceLayout(tmp_path))
    run.rank(0, node_id="local-0")
    return run


def test_lines_come_once_as_they_are_written(run: RunFolder) -> None:
    """Each look gives what is new, logs that appear later included."""
    follower = Follower(run)
    run.rank_log(0, (1, b"a\n"))
    assert payloads(follower.look()) == [b"a\n"]
    assert follower.look() == []
    run.rank_log(0, (2, b"b\n"))
    run.log("75_job_post-local-0.txt", (3, b"end\n"))
    assert payloads(follower.look()) == [b"b\n", b"end\n"]
    assert follower.finish() == []


def test_unfinished_line_is_shown_after_quiet_and_completed(run: RunFolder) -> None:
    """A prompt without a newline shows after half a second of quiet, once, and its rest follows."""
    follower = Follower(run)
    run.rank_log(0, (1, b"Name? "))
    assert payloads(follower.look()) == []
    follower.now_s = 0.6
    assert payloads(follower.look()) == [b"Name? "]
    follower.now_s = 9
    assert payloads(follower.look()) == []
    run.rank_log(0, (9, b"Ada\n"))
    (entry,) = follower.look()
    assert isinstance(entry, Entry) and (entry.block.payload, entry.block.is_continuation) == (b"Ada\n", True)


def test_unfinished_line_is_shown_at_the_end(run: RunFolder) -> None:
    """The last words without a newline are not lost."""
    follower = Follower(run)
    run.rank_log(0, (1, b"last words"))
    follower.look()
    assert payloads(follower.finish()) == [b"last words"]


def test_progress_bar_is_a_state_until_its_line_ends(run: RunFolder) -> None:
    """A growing progress bar is told as progress, and as a line only when it has ended."""
    follower = Follower(run)
    run.rank_log(0, (1, b"\r10%\r20%"))
    (event,) = follower.look()
    assert isinstance(event, Progress) and event.line.endswith(b"20%")
    run.rank_log(0, (2, b"\r100%\n"))
    assert payloads(follower.look()) == [b"\r10%\r20%\r100%\n"]


def test_log_waits_for_its_process_to_be_announced(run: RunFolder) -> None:
    """First lines wait a moment for the node's name, but not for ever."""
    follower = Follower(run)
    run.rank_log(5, (1, b"who\n"))
    assert follower.look() == []
    run.rank(5, node_id="local-1")
    (entry,) = follower.look()
    assert isinstance(entry, Entry) and entry.source.label.text == "local-1:5"
    run.rank_log(6, (1, b"nobody\n"))
    follower.look()
    follower.now_s = 2
    assert payloads(follower.look()) == [b"nobody\n"]


def test_follow_on_a_screen(run: RunFolder) -> None:
    """A whole follow of a live writer gives every line, and an open line between others is completed."""
    out = io.BytesIO()
    done = threading.Event()

    def write() -> None:
        for number in range(200):
            run.rank_log(0, (number, b"line %d\n" % number))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    follow_logs(run.layout, out, Appearance(), is_finished=done.is_set, poll_s=0.001)
    writer.join()
    assert out.getvalue() == b"".join(b"local-0:0 | line %d\n" % number for number in range(200))


def test_open_line_among_others_on_a_screen(run: RunFolder) -> None:
    """An open line is ended before another log's line; its rest gets a label again. Alone, its rest joins it."""
    out, follower = io.BytesIO(), Follower(run)
    screen = Screen(out, Appearance())

    def turn(seconds: float) -> None:
        follower.now_s += seconds
        for event in follower.look():
            assert isinstance(event, Entry)
            screen.show(event.source, event.block)

    run.rank_log(0, (1, b"Name? "))
    turn(0)
    turn(0.6)
    run.log("70_mpi_log.txt", (2, b"m\n"))
    turn(0)
    run.rank_log(0, (3, b"Ada\nAge? "))
    turn(0)
    turn(0.6)
    run.rank_log(0, (4, b"36\n"))
    turn(0)
    assert out.getvalue() == b"local-0:0 | Name? \nmpi | m\nlocal-0:0 | Ada\nlocal-0:0 | Age? 36\n"


class FollowModel(RuleBasedStateMachine):
    """Random appends and truncations to several logs while they are followed: every line once, in its log's order."""

    logs = st.integers(0, 2)

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.run = new_run(WorkspaceLayout(Path(self.folder.name)))
        for rank in range(3):
            self.run.rank(rank, node_id="local-0")
        self.follower = Follower(self.run)
        self.written: dict[int, bytes] = dict.fromkeys(range(3), b"")
        self.got: dict[int, bytes] = dict.fromkeys(range(3), b"")
        self.second = 0

    def take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Entry):
                assert event.source.label.rank is not None
                self.got[event.source.label.rank] += event.block.payload

    @rule(log=logs, content=st.binary(max_size=30), lines=st.integers(0, 3))
    def append(self, log: int, content: bytes, lines: int) -> None:
        self.second += 1
        # A number in every line tells whether one came twice or not at all.
        text = b"".join(b"%d:%s\n" % (self.second * 10 + number, content) for number in range(lines)) + content
        self.run.rank_log(log, (self.second, text))
        self.written[log] += text

    @rule(log=logs)
    def append_without_index(self, log: int) -> None:
        with open(self.run.layout.driver_log(log), "ab") as stream:
            stream.write(b"bare\n")
        self.written[log] += b"bare\n"

    @rule()
    def look(self) -> None:
        self.take(self.follower.look())

    @rule(seconds=st.floats(0, 2))
    def time_passes(self, seconds: float) -> None:
        self.follower.now_s += seconds

    @precondition(lambda self: any(self.written.values()))
    @rule(log=logs)
    def truncate(self, log: int) -> None:
        # What was written before a look saw it is gone with the file; so look, empty, look.
        self.take(self.follower.look())
        self.take(self.follower.look())
        path = self.run.layout.azureml_logs / driver_log_name(log)
        if path.exists():
            os.truncate(path, 0)
            self.take(self.follower.look())

    @invariant()
    def nothing_came_twice_or_out_of_order(self) -> None:
        for log, got in self.got.items():
            assert self.written[log].startswith(got)

    def teardown(self) -> None:
        self.take(self.follower.finish())
        assert self.got == self.written
        self.folder.cleanup()


FollowModel.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestFollowModel = FollowModel.TestCase
