"""Durable writing: whole or not at all, once or not at all, a line or nothing."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sidecar.contract import publish


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    """No temporary file stays, and the mode is private."""
    target = tmp_path / "record.json"
    publish.write_whole(target, b"one")
    publish.write_whole(target, b"two")
    assert target.read_bytes() == b"two"
    assert os.listdir(tmp_path) == ["record.json"]
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """A write that fails (here: a file size limit) raises, keeps the old content, and leaves nothing behind."""
    import resource

    target = tmp_path / "record.json"
    publish.write_whole(target, b"old")
    pid = os.fork()
    if pid == 0:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
        try:
            publish.write_whole(target, b"x" * 1000)
        except OSError:
            os._exit(42)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 42
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["record.json"]


def test_writers_with_one_process_number_do_not_meet(tmp_path: Path) -> None:
    """Threads share their pid, as the first processes of two containers do: every write succeeds, one content stays."""
    target = tmp_path / "job.json"
    contents = [b"%d" % number for number in range(8)]
    with ThreadPoolExecutor(len(contents)) as pool:
        for _ in range(20):
            list(pool.map(lambda content: publish.write_whole(target, content), contents))
            assert target.read_bytes() in contents
    assert os.listdir(tmp_path) == ["job.json"]


def _race(path: str, number: int, won: multiprocessing.Queue[int]) -> None:
    if publish.create_once(Path(path), b"%d" % number):
        won.put(number)


def test_one_of_many_creates(tmp_path: Path) -> None:
    """Twenty processes want the same token: one gets it, and its content is the file's (F45)."""
    context = multiprocessing.get_context("fork")
    won: multiprocessing.Queue[int] = context.Queue()
    target = tmp_path / "token"
    racers = [context.Process(target=_race, args=(str(target), number, won)) for number in range(20)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert target.read_bytes() == b"%d" % won.get(timeout=5)
    assert won.empty()


def _append(path: str, number: int) -> None:
    for count in range(200):
        publish.append_record(Path(path), {"writer": number, "count": count, "pad": "x" * (count * 7 % 500)})


def test_writers_do_not_tear_each_others_lines(tmp_path: Path) -> None:
    """Four processes append 200 records each to one file: 800 whole records, each writer's in order."""
    context = multiprocessing.get_context("fork")
    target = tmp_path / "events.jsonl"
    writers = [context.Process(target=_append, args=(str(target), number)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = publish.read_records(target)
    for number in range(4):
        assert [record["count"] for record in found if record["writer"] == number] == list(range(200))


@pytest.mark.parametrize("tail", [b'{"a":', b'{"a":1', b"\xff\xfe", b'{"a":1}'])
def test_a_torn_tail_waits_and_can_be_dropped(tmp_path: Path, tail: bytes) -> None:
    """An unfinished line is not read; once dropped, the next record is whole."""
    target = tmp_path / "events.jsonl"
    target.write_bytes(b'{"a":0}\n' + tail)
    assert publish.read_records(target) == [{"a": 0}]
    publish.drop_torn_tail(target)
    publish.append_record(target, {"a": 2})
    assert publish.read_records(target) == [{"a": 0}, {"a": 2}]


def test_text_of_any_kind_survives(tmp_path: Path) -> None:
    """Unicode as it is, lone surrogates (bytes of a file name) as escapes."""
    target = tmp_path / "r.jsonl"
    for text in ("ünïcode \u2028", "\udcff broken", "line\nbreak"):
        publish.append_record(target, {"text": text})
    assert [record["text"] for record in publish.read_records(target)] == [
        "ünïcode \u2028",
        "\udcff broken",
        "line\nbreak",
    ]
