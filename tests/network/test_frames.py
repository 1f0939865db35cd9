"""Links that damage frames, nodes that lie, and another version at the other end: F12, F42, F48.

No hosts: the controller's side of a node, against an agent of this machine or against frames written by hand.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.nodes.claims import Claims
from runner.nodes.fleet import Fleet
from runner.nodes.intake import Intake
from runner.nodes.node import Node
from runner.transports.local import LocalLink, LocalTransport
from sidecar import processes
from sidecar.contract import settings
from sidecar.contract.frames import BrokenFrame, Frame, FrameKind, encode, json_frame, read_frame
from sidecar.contract.layout import AZUREML_LOGS, RunLayout, WorkspaceLayout, driver_log_name
from sidecar.contract.orders import ORDER_NAMES, NodePlan, ProcessSpec, Verb
from tests.doubles.node_lab import BUNDLE, wait_until

_NODE = "gpu01"
# What a damage says behind the last bytes of a link.
END = b"the link ends here"
Damage = Callable[[bytes], bytes]


class _DamagedReader:
    """Frames of an agent, each passed through `damage`."""

    def __init__(self, link: LocalLink, damage: Damage) -> None:
        self._link = link
        self._damage = damage
        self._waiting = b""
        self._is_over = False

    def read(self, size: int, /) -> bytes:
        while (
            len(self._waiting) < size and not self._is_over and (frame := read_frame(self._link.incoming)) is not None
        ):
            content = self._damage(encode(frame))
            self._is_over = content.endswith(END)
            self._waiting += content
        taken, self._waiting = self._waiting[:size], self._waiting[size:]
        return taken


class _DamagedLink:
    """A link whose incoming frames are damaged."""

    def __init__(self, link: LocalLink, damage: Damage) -> None:
        self.link = link
        self.incoming = _DamagedReader(link, damage)
        self.outgoing = link.outgoing
        self.silence_limit_s: float | None = None
        self.notes: tuple[str, ...] = ()
        self.address: str | None = None
        self.last_words = ""
        self.exit_code: int | None = None

    def close(self) -> None:
        self.link.close()


class _DamagedTransport:
    """Reaches an agent of this machine over links that are damaged."""

    name = "damaged"

    def __init__(self, inner: LocalTransport, damage: Damage) -> None:
        self._inner = inner
        self._damage = damage

    def connect(self) -> _DamagedLink:
        return _DamagedLink(self._inner.connect(), self._damage)


@contextlib.contextmanager
def _reach(folder: Path, monkeypatch: pytest.MonkeyPatch, damage: Damage) -> Iterator[tuple[Node, RunLayout]]:
    """A node that believes to be remote, and what comes of it here."""
    run = RunLayout(folder / "here")
    run.node_events(_NODE).parent.mkdir(parents=True)
    run_id = f"lab_1_{os.urandom(4).hex()}"
    place = WorkspaceLayout(Path()).node(_NODE, run_id)
    root = folder / "work" / place.root
    (root / "work").mkdir(parents=True)
    monkeypatch.setenv(settings.WORK_DIRECTORY, str(folder / "work"))
    plan = NodePlan(
        run_id=run_id,
        experiment_name="lab",
        node_id=_NODE,
        node_rank=0,
        node_count=1,
        run_root=str(place.copy),
        bundle="",
        address="127.0.0.1",
        snapshot_store="snapshots",
        snapshot_id="none",
        environment={},
        environment_cache="environments",
        environment_variables={},
        stop_grace_s=0.5,
        max_run_duration_s=None,
        port_count=0,
        wants_mpi=False,
        is_remote=True,
    )
    inner = LocalTransport(run_id=run_id, node_id=_NODE, node_root=root, bundle=Path(BUNDLE), log=folder / "agent.log")
    fleet = Fleet()
    intake = Intake(run, _NODE, Claims(run, first_node=_NODE))
    node = Node(plan, _DamagedTransport(inner, damage), run.node_events(_NODE), fleet.notify, intake=intake)
    fleet.nodes = (node,)
    try:
        yield node, run
    finally:
        node.order(ORDER_NAMES[Verb.STOP], Verb.STOP, {"reason": "cancel", "grace_s": 0.1})
        node.order(ORDER_NAMES[Verb.QUIT], Verb.QUIT)
        fleet.wait(lambda: node.is_removed, limit_s=30, heeds_cancel=False)
        fleet.close()
        processes.kill_all(processes.Mark(run_id, _NODE), supervisor=None)


def test_frames_that_are_damaged_doubled_or_torn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At least twenty-five broken links, and repeated frames: the log is what was written, byte by byte (F12)."""
    seed = int(os.environ.get("SCRIPTRUN_SEED") or "7")
    print(f"repeat with SCRIPTRUN_SEED={seed}")
    chance, count = random.Random(seed), 0

    def damage(content: bytes) -> bytes:
        nonlocal count
        fate = chance.random()
        if fate < 0.3:
            return content + content  # said twice
        if fate < 0.45 and count < 40 and len(content) > 200:
            count += 1
            spot = chance.choice([*range(20), *range(24, len(content))])  # Not the length: that would only wait.
            return content[:spot] + bytes([content[spot] ^ (1 << chance.randrange(8))]) + content[spot + 1 :]
        if fate < 0.5 and count < 40 and len(content) > 200:
            count += 1
            return content[: chance.randrange(len(content))] + END
        return content

    with _reach(tmp_path, monkeypatch, damage) as (node, run):
        node.open()
        enough = tmp_path / "enough"
        source = (
            f"import os, time\nn = 0\nwhile not os.path.exists({str(enough)!r}):\n"
            "    os.write(1, b'%d ' % n * 400); n += 1; time.sleep(0.01)\n"
            f"open({str(tmp_path / 'lines')!r}, 'w').write(str(n))"
        )
        log = f"{AZUREML_LOGS}/{driver_log_name(None)}"
        spec = ProcessSpec(name="main", argv=["/usr/bin/env", "python3", "-c", source], log=log, env={})
        node.order(ORDER_NAMES[Verb.START], Verb.START, {"processes": [spec.to_record()]})
        wait_until(lambda: count >= 25, limit_s=90, what="25 broken links")
        enough.touch()
        wait_until((tmp_path / "lines").exists, limit_s=10, what="the end of the process")
        wait_until(lambda: bool((tmp_path / "lines").read_text()), limit_s=10, what="its number of lines")
        wanted = b"".join(b"%d " % n * 400 for n in range(int((tmp_path / "lines").read_text())))
        there = run.driver_log(None)
        wait_until(
            lambda: there.exists() and there.stat().st_size >= len(wanted) and node.state.is_ended,
            limit_s=60,
            what="all",
        )
        assert there.read_bytes() == wanted
        assert list(there.parent.glob("*.g*")) == []


_EVIL_PATHS = [
    *("../x", "/etc/x", "logs/../../x", "logs/./x", "logs//x", "logs/", "", ".", "..", "logs", "outputs"),
    *("logs/a\0b", f"logs/{'x' * 256}", f"logs/{'ü' * 128}", "logs/" + "x/" * 2000 + "x"),
    *("run.json", ".state/closing.json", ".state/controller.lock", ".state/claims.jsonl", ".state/nodes/gpu01.jsonl"),
    *(".state/seals/gpu02.jsonl", ".state/index/../x.idx", ".state/metrics/../../run.json", ".state/metrics/x.jsonl"),
    *(
        "azureml-logs/process_status.json",
        "azureml-logs/55_azureml-execution-gpu01.txt",
        "azureml-logs/x/70_driver_log.txt",
    ),
    *("azureml-logs/65_job_prep-gpu02.txt", "logs/azureml/manifest.json", "logs/azureml/failure.json", "OUTPUTS/x"),
]


def _intake(folder: Path) -> Intake:
    run = RunLayout(folder / "run")
    run.state.mkdir(parents=True)
    made = Intake(run, _NODE, Claims(run, first_node=_NODE))
    made.begin(lambda _frame: None)
    return made


def _file(path: Any, number: int = 1) -> Frame:
    return json_frame(FrameKind.FILE, {"path": path, "mode": 0o644})._replace(stream=number)


@pytest.mark.parametrize("path", _EVIL_PATHS)
def test_paths_that_may_not_travel(tmp_path: Path, path: str) -> None:
    """Absolute, upwards, too long, another node's, or the runner's own: refused, and nothing is written (F42)."""
    intake = _intake(tmp_path)
    with pytest.raises(BrokenFrame):
        intake.take(_file(path))
    assert [found for found in tmp_path.rglob("*") if found.is_file()] == []


def test_links_on_the_way_lead_nowhere(tmp_path: Path) -> None:
    """A link in the run folder, made by whomever, is not written through (F42)."""
    intake = _intake(tmp_path)
    (tmp_path / "outside").mkdir()
    (tmp_path / "run/logs").mkdir()
    (tmp_path / "run/logs/folder").symlink_to(tmp_path / "outside")
    (tmp_path / "run/logs/file").symlink_to(tmp_path / "outside/file")
    for number, path in enumerate(("logs/folder/x", "logs/file"), 1):
        with pytest.raises(OSError, match=r"symbolic|directory"):
            intake.take(_file(path, number))
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize(
    "frame",
    [
        Frame(FrameKind.DATA, b"x", stream=9),
        Frame(FrameKind.DATA, b"x", stream=1, generation=1, offset=1),
        Frame(FrameKind.DATA, b"x", stream=1, generation=1, offset=2**63),
        Frame(FrameKind.FILE, b"[" * 500_000, stream=2),
        Frame(FrameKind.FILE, b"{}", stream=2),
        Frame(FrameKind.FILE, b'"text"', stream=2),
        _file(["logs/x"], 2),
        _file("logs/\ud800", 2),
        json_frame(FrameKind.FILE, {"path": "logs/x", "mode": "0644"}),
    ],
)
def test_nonsense_is_refused(tmp_path: Path, frame: Frame) -> None:
    """Bytes that were never asked for, a gap, a number beyond all files, endless JSON: the link ends, no more (F42)."""
    intake = _intake(tmp_path)
    intake.take(_file("logs/good"))
    with pytest.raises((BrokenFrame, UnicodeEncodeError)):
        intake.take(frame)
    assert (tmp_path / "run/logs/good").read_bytes() == b""


def test_modes_do_not_travel(tmp_path: Path) -> None:
    """Neither set-user-id nor rights of others: what a node calls a mode makes a file its owner's (F42)."""
    intake = _intake(tmp_path)
    intake.take(json_frame(FrameKind.FILE, {"path": "outputs/x", "mode": 0o6777})._replace(stream=1))
    intake.open_outputs(but=set())
    assert (tmp_path / "run/outputs/x").stat().st_mode & 0o7777 == 0o700


def test_an_agent_of_another_version(tmp_path: Path) -> None:
    """Its first frame names another version: said in one sentence, counted as a link that said nothing (F48)."""
    hello = bytearray(encode(json_frame(FrameKind.HELLO, {"has_plan": False})))
    struct.pack_into(">B", hello, 2, 7)

    class Reader:
        def __init__(self) -> None:
            self.left = bytes(hello)

        def read(self, size: int, /) -> bytes:
            taken, self.left = self.left[:size], self.left[size:]
            return taken

    class Link(_DamagedLink):
        def __init__(self) -> None:
            self.incoming = Reader()  # type: ignore[assignment]
            self.outgoing = io.BytesIO()  # type: ignore[assignment]
            self.silence_limit_s, self.notes, self.address = None, (), None
            self.last_words, self.exit_code = "", 1

        def close(self) -> None:
            pass

    class Transport:
        name = "old"

        def connect(self) -> Link:
            return Link()

    plan = NodePlan(**{**dict.fromkeys(NodePlan._fields), "node_id": _NODE, "is_remote": True})  # type: ignore[arg-type]
    node = Node(plan, Transport(), tmp_path / "events.jsonl", lambda: None)
    node.open()
    wait_until(lambda: node.mute_link_count >= 2, what="two links")
    assert node.problem is not None
    assert "version 7" in node.problem.message
    assert "this one 1" in node.problem.message
    node.close()


def test_events_of_a_liar(tmp_path: Path) -> None:
    """Events that are no events, or name what they may not, change nothing; good ones behind them count (F42)."""
    from runner.nodes.node_state import NodeState
    from sidecar.contract import publish

    good = {"event": "started", "process": "main", "pid": 1, "log": f"{AZUREML_LOGS}/{driver_log_name(None)}"}
    good |= {"is_user": True, "address": "", "at_ns": 1, "monotonic_ns": 1}
    lines = [b"[" * 100_000, b"{", b"null", b'{"event": ["started"]}', b'{"event": "started"}']
    lines += [json.dumps({**good, "log": log}).encode() for log in ("/etc/passwd", "../x", "a/../../x")]
    lines += [json.dumps({**good, "process": name}).encode() for name in ("../x", "", "rank_x")]
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"\n".join([*lines, json.dumps(good).encode()]) + b"\n")
    state = NodeState(node_id=_NODE)
    for record in publish.read_records(path):
        state.apply(record)
    assert state.started == {"main": good}
