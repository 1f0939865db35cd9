"""A script that writes, truncates, renames and removes at random, beside random kills, against a model of its files."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
import time
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar import steps
from sidecar.contract import events
from sidecar.contract.layout import USER_LOGS
from sidecar.contract.orders import Verb
from tests.doubles.node_lab import NodeLab, node_lab, wait_until

_SCRIPT = """
import json, os, sys, time
os.makedirs("logs", exist_ok=True)
os.makedirs("outputs", exist_ok=True)
for name, *rest in json.loads(sys.argv[1]):
    if name == "print": os.write(1, rest[0].encode("latin-1"))
    if name == "write": open("logs/" + rest[0], "ab").write(rest[1].encode("latin-1"))
    if name == "truncate": open("logs/" + rest[0], "wb").close()
    if name == "rename" and os.path.exists("logs/" + rest[0]): os.replace("logs/" + rest[0], "logs/" + rest[1])
    if name == "unlink" and os.path.exists("logs/" + rest[0]): os.unlink("logs/" + rest[0])
    if name == "pause": time.sleep(0.01)
"""
_NAMES = st.sampled_from(["a", "b", "c"])
_BYTES = st.binary(max_size=200).map(lambda content: content.decode("latin-1"))
_OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("print"), _BYTES),
        st.tuples(st.just("write"), _NAMES, _BYTES),
        st.tuples(st.just("truncate"), _NAMES),
        st.tuples(st.just("rename"), _NAMES, _NAMES),
        st.tuples(st.just("unlink"), _NAMES),
        st.tuples(st.just("pause")),
    ),
    min_size=5,
    max_size=60,
)


def _model(operations: list[tuple[str, ...]]) -> tuple[bytes, dict[str, bytes]]:
    """(what was printed, the files that are left) after `operations`."""
    printed, files = b"", dict[str, bytes]()
    for name, *rest in operations:
        if name == "print":
            printed += rest[0].encode("latin-1")
        elif name == "write":
            files[rest[0]] = files.get(rest[0], b"") + rest[1].encode("latin-1")
        elif name == "truncate":
            files[rest[0]] = b""
        elif name == "rename" and rest[0] in files:
            files[rest[1]] = files.pop(rest[0])
        elif name == "unlink":
            files.pop(rest[0], None)
    return printed, files


def _collect_meanwhile(lab: NodeLab, is_over: threading.Event) -> None:
    """What an agent does while the script runs, by a new one each time, as if each had been killed at once."""
    node = steps.Node(lab.plan, lab.node, lab.run)
    while not is_over.wait(0.005):
        steps.collector(node, USER_LOGS).collect(is_final=False)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(operations=_OPERATIONS, kills=st.lists(st.floats(0, 0.08), max_size=3))
def test_files_and_log_equal_the_model(operations: list[tuple[str, ...]], kills: list[float]) -> None:
    """Every byte printed is in the log once; every file left is in the run folder as the script left it."""
    with tempfile.TemporaryDirectory() as folder, node_lab(Path(folder)) as lab:
        is_over = threading.Event()
        collecting = threading.Thread(target=_collect_meanwhile, args=(lab, is_over))
        collecting.start()
        try:
            lab.start([sys.executable, "-c", _SCRIPT, json.dumps(operations)])
            for pause_s in kills:
                until = time.monotonic() + pause_s
                wait_until(lambda until=until: time.monotonic() >= until)
                lab.kill_supervisor()
                lab.supervise()
            lab.wait_ended()
        finally:
            is_over.set()
            collecting.join()
        lab.order(Verb.RELEASE)
        wait_until(lambda: any(r["state"] == events.DONE for r in lab.events(events.STEP)), what="job release")
        printed, files = _model(operations)
        assert lab.log() == printed
        assert lab.exits()["main"]["exit_code"] == 0
        assert {name: (lab.run.user_logs / name).read_bytes() for name in files} == files
