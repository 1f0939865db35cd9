"""Peers and scripts that mean harm: names that leave their folder, broken frames, odd files (F42, F43)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from runner.nodes.fleet import Fleet
from runner.nodes.node import Node
from sidecar.contract import events, publish, settings
from sidecar.contract.frames import EVENTS_STREAM, Frame, FrameKind, encode, json_frame, read_frame
from sidecar.contract.orders import NodePlan
from tests.doubles.node_lab import BUNDLE, node_lab
from tests.faults.invariants import checked
from tests.faults.lab import Lab, wait_until

_BAD_NAMES = [
    "../evil",
    "../../../evil",
    "/tmp/evil",
    "a/b",
    "..",
    ".",
    "",
    "a\0b",
    "x" * 300,
    "-/../evil",
    "10-build/",
]


@pytest.mark.parametrize("name", _BAD_NAMES)
def test_an_order_with_a_bad_name_is_refused(tmp_path: Path, name: str) -> None:
    """The agent ends the link instead of writing outside its orders folder."""
    with node_lab(tmp_path) as lab:
        wait_until(lambda: bool(lab.events(events.SUPERVISOR)), what="a supervisor at work")
        before = _tree(tmp_path)
        order = {"order": name, "verb": "stop", "reason": "cancel", "grace_s": 1.0}
        answered = _tell_agent(lab.plan, lab.node.root, json_frame(FrameKind.ORDER, order))
        assert FrameKind.ACCEPTED not in answered
        assert _tree(tmp_path) - before <= {"node/agent.bell", "run/.state/index"}


@pytest.mark.parametrize(
    "content",
    [b"\0" * 100, b"sR" + b"\xff" * 60, b"SSH-2.0-noise\r\n" * 5, json.dumps({"order": "x"}).encode()],
)
def test_foreign_bytes_end_an_agent(tmp_path: Path, content: bytes) -> None:
    """Whatever is no frame ends the agent; the supervisor and the node's folder stay as they are."""
    with node_lab(tmp_path) as lab:
        assert _tell_agent(lab.plan, lab.node.root, content) == [FrameKind.HELLO]
        assert lab.supervisor_pid


def _tell_agent(plan: NodePlan, root: Path, message: Frame | bytes) -> list[FrameKind]:
    """The kinds of frames with which a real agent answers `message`, up to its end."""
    argv = [sys.executable, "-s", "-S", "-E", "-m", "sidecar", "agent", plan.run_id, "--node", plan.node_id]
    environ = {**os.environ, settings.NODE_ROOT: str(root)}
    sent = message if isinstance(message, bytes) else encode(message)
    done = subprocess.run(argv, input=sent, env=environ, cwd=BUNDLE, capture_output=True, timeout=20)
    kinds, stream = [], _Replay(done.stdout)
    while (frame := read_frame(stream)) is not None:
        kinds.append(frame.kind)
    return kinds


class _Replay:
    def __init__(self, content: bytes) -> None:
        self._content = content

    def read(self, size: int, /) -> bytes:
        head, self._content = self._content[:size], self._content[size:]
        return head


def _tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


class _Pipe:
    """A link whose other end is the test."""

    silence_limit_s: float | None = None
    notes: tuple[str, ...] = ()
    address: str | None = None
    exit_code: int | None = None
    last_words = ""

    def __init__(self) -> None:
        ours, self.theirs = socket.socketpair()
        self.incoming: BinaryIO = ours.makefile("rb")
        self.outgoing: BinaryIO = ours.makefile("wb")
        ours.close()  # The two files keep it open.

    def close(self) -> None:
        self.theirs.close()  # First: whoever reads at our end holds that file until it sees the end.
        self.incoming.close()
        self.outgoing.close()


class _PipeTransport:
    name = "a pipe"

    def __init__(self) -> None:
        self.links: list[_Pipe] = []

    def connect(self) -> _Pipe:
        self.links.append(_Pipe())
        self.links[-1].theirs.sendall(encode(json_frame(FrameKind.HELLO, {"protocol": 1, "pid": 1, "has_plan": True})))
        return self.links[-1]


_BAD_EVENTS: list[dict[str, Any]] = [
    {},
    {"event": 7},
    {"event": "started"},
    {"event": "started", "process": ["a"]},
    {"event": "step", "state": "done"},
    {"event": "exited", "process": {"a": 1}},
    {"event": "stalled"},
    {"event": "unheard of"},
]


def test_a_node_that_sends_nonsense_does_not_stop_the_controller(tmp_path: Path) -> None:
    """Events that miss what they should have, data for other streams, gaps: the next good event still arrives."""
    journal = tmp_path / "journal.jsonl"
    transport, fleet = _PipeTransport(), Fleet()
    with node_lab(tmp_path / "lab") as lab:
        node = Node(lab.plan, transport, journal, fleet.notify)
        fleet.nodes = (node,)
        node.open()
        wait_until(lambda: bool(transport.links), what="a link")
        good = {"event": "stalled", "at_ns": 1, "monotonic_ns": 1, "process": "main", "state": "T"}
        content = b"".join(publish.to_json(event) + b"\n" for event in [*_BAD_EVENTS, good])
        theirs = transport.links[0].theirs
        theirs.sendall(encode(Frame(FrameKind.DATA, b"evil", stream=7, offset=0)))
        theirs.sendall(encode(json_frame(FrameKind.ACCEPTED, {"order": "../../evil"})))
        theirs.sendall(encode(Frame(FrameKind.DATA, content, stream=EVENTS_STREAM, offset=0)))
        wait_until(lambda: node.state.stalled == {"main"}, limit_s=5, what="the good event")
        assert journal.read_bytes() == content
        assert Node(lab.plan, transport, journal, fleet.notify).state.stalled == {"main"}
        theirs.sendall(encode(Frame(FrameKind.DATA, b"gap", stream=EVENTS_STREAM, offset=10**9)))
        wait_until(lambda: len(transport.links) > 1, what="a new link after a gap")
        node.close()
        transport.links[0].close()


def test_events_that_a_script_forged_lead_nowhere(lab: Lab, tmp_path: Path) -> None:
    """A log's name in an event cannot make the controller read, or name, a file outside the run."""
    secret = tmp_path / "secret"
    secret.write_text("the secret\n")
    source = (
        "import json, os, time\n"
        "stamp = {'at_ns': 1, 'monotonic_ns': 1}\n"
        f"log = os.path.relpath({str(secret)!r}, os.environ['RUNNER_RUN_ROOT'])\n"
        "started = {'event': 'started', 'process': 'rank_9', 'pid': 1, 'wrapper': {}, 'log': log, 'index': 9,\n"
        "           'is_user': True, 'address': '', **stamp}\n"
        "ended = {'event': 'exited', 'process': 'rank_9', 'pid': 1, 'exit_code': 1, 'signal': None, 'error': None,\n"
        "         'is_lost': False, 'raised': None, 'is_out_of_memory': False, **stamp}\n"
        "with open(os.environ['RUNNER_NODE_ROOT'] + '/events.jsonl', 'a') as events:\n"
        "    events.write(json.dumps(started) + '\\n' + json.dumps(ended) + '\\n')\n"
        "time.sleep(0.5)\n"
    )
    victim = lab.submit(source)
    victim.wait_end()
    assert victim.record.status == "Failed"
    for path in (victim.run.record, victim.run.failure, victim.run.manifest):
        assert "the secret" not in path.read_text()
    assert "the secret" not in lab.command("logs", victim.run_id).stdout
    assert "the secret" not in lab.command("status", victim.run_id).stdout


def test_odd_files_in_outputs(lab: Lab, tmp_path: Path) -> None:
    """FIFO, socket, device, links of every kind: never opened, never followed out; the rest is collected (F43)."""
    (tmp_path / "secret").write_text("the secret")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/inner").write_text("the secret")
    source = (
        "import os, socket\n"
        "for place in ('outputs/', 'logs/'):\n"
        "    os.mkfifo(place + 'fifo')\n"
        "    sock = socket.socket(socket.AF_UNIX); sock.bind(place + 'socket')\n"
        f"    os.symlink({str(tmp_path / 'secret')!r}, place + 'out')\n"
        f"    os.symlink({str(tmp_path / 'folder')!r}, place + 'outfolder')\n"
        "    os.symlink('../../../../../../secret', place + 'relative')\n"
        "    os.symlink('loop', place + 'loop')\n"
        "    os.symlink('nowhere', place + 'nowhere')\n"
        "    os.makedirs(place + 'deep/er'); os.symlink('../../file', place + 'deep/er/link')\n"
        "    open(place + 'file', 'w').write('kept')\n"
        "    open(place + 'no rights', 'w').write('kept'); os.chmod(place + 'no rights', 0)\n"
        "    open(place + os.fsdecode(b'b\\xff\\xfed'), 'w').write('kept')\n"
    )
    victim = lab.submit(source)
    victim.wait_end(limit_s=20)
    checked(victim, started=1)
    for folder in (victim.run.outputs, victim.run.user_logs):
        assert (folder / "file").read_text() == "kept"
        assert (folder / "deep/er/link").read_text() == "kept"
        assert (folder / os.fsdecode(b"b\xff\xfed")).read_text() == "kept"
        assert not {"fifo", "socket", "out", "outfolder", "relative"} & set(os.listdir(folder))
    assert all(b"the secret" not in path.read_bytes() for path in victim.run.root.rglob("*") if path.is_file())


def test_a_file_that_becomes_a_link_while_it_is_collected(lab: Lab, tmp_path: Path) -> None:
    """A script that swaps a file and a link to a secret as fast as it can never gets the secret into the run (F43)."""
    (tmp_path / "secret").write_text("the secret")
    source = (
        "import os, time\n"
        "until = time.monotonic() + 1.5\n"
        "while time.monotonic() < until:\n"
        "    for place in ('outputs/', 'logs/'):\n"
        "        open(place + 'new', 'w').write('mine'); os.replace(place + 'new', place + 'file')\n"
        f"        os.symlink({str(tmp_path / 'secret')!r}, place + 'new'); os.replace(place + 'new', place + 'file')\n"
        "if os.fork() == 0:\n"
        '    exec(\'while True:\\n os.symlink("/", "outputs/x"); os.unlink("outputs/x")\')\n'
    )
    victim = lab.submit(source, grace_s=0.2)
    victim.wait_end(limit_s=20)
    checked(victim, started=1)
    assert all(b"the secret" not in path.read_bytes() for path in victim.run.root.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", ["outputs", "logs"])
def test_an_outputs_folder_that_is_a_link(lab: Lab, tmp_path: Path, name: str) -> None:
    """A script that replaces its own outputs/ or logs/ by a link out of the run gets nothing collected through it."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/secret").write_text("the secret")
    source = f"import os; os.rmdir({name!r}); os.symlink({str(tmp_path / 'elsewhere')!r}, {name!r})"
    victim = lab.submit(source)
    victim.wait_end()
    checked(victim, started=1)
    assert all(b"the secret" not in path.read_bytes() for path in victim.run.root.rglob("*") if path.is_file())
