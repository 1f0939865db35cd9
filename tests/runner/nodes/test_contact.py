"""Since when a node is out of reach, as one process writes it and another tells it."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from runner.nodes import contact
from runner.nodes.contact import LostContact
from sidecar.contract.layout import RunLayout

AT = datetime(2026, 11, 21, 8, 40, 1, tzinfo=timezone.utc)
LOST = LostContact(lost_at=AT.timestamp(), problem="lab2: cannot connect to 10.0.0.2 port 22: nothing answers")


def test_sentence_says_since_when_and_why() -> None:
    """The time in UTC, how long ago that is, and the reason without the node's name in front."""
    sentence = LOST.sentence("lab2", AT + timedelta(seconds=35))
    expected = (
        "contact lost since 2026-11-21 08:40:01 UTC (35 s ago): cannot connect to 10.0.0.2 port 22: nothing answers"
    )
    assert sentence == expected
    assert LOST.to_record() == {"since": "2026-11-21T08:40:01+00:00", "problem": LOST.problem}


def test_only_nodes_out_of_reach_are_found(tmp_path: Path) -> None:
    """A node that answers has no file; a torn one is taken for none."""
    run = RunLayout(tmp_path)
    run.node_contact("lab1").parent.mkdir(parents=True)
    contact.write_lost(run.node_contact("lab2"), LOST)
    run.node_contact("lab3").write_text('{"lost_at": ')
    assert contact.read_all_lost(run, ["lab1", "lab2", "lab3"]) == {"lab2": LOST}
    assert contact.read_all_full(run, ["lab1", "lab2", "lab3"]) == []
    contact.write_found(run.node_contact("lab2"))
    assert contact.read_all_lost(run, ["lab1", "lab2", "lab3"]) == {}


def test_a_full_node_is_not_out_of_reach(tmp_path: Path) -> None:
    """A node that answers and has no room is told of as such, until it has some or is gone."""
    run = RunLayout(tmp_path)
    run.node_contact("lab1").parent.mkdir(parents=True)
    contact.write_full(run.node_contact("lab1"))
    assert contact.read_all_full(run, ["lab1", "lab2"]) == ["lab1"] and contact.read_all_lost(run, ["lab1"]) == {}
    contact.write_lost(run.node_contact("lab1"), LOST)
    assert contact.read_all_full(run, ["lab1"]) == []
    contact.write_found(run.node_contact("lab1"))
    assert contact.read_all_full(run, ["lab1"]) == []
