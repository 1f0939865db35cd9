"""Collecting: live by hard link, nothing overwritten, nothing followed out of the folder."""

from __future__ import annotations

import os
from pathlib import Path

from sidecar.collect import Collector


def _collector(folder: Path, node_id: str) -> Collector:
    source = folder / node_id / "outputs"
    source.mkdir(parents=True, exist_ok=True)
    return Collector(source, folder / "run" / "outputs", node_id, memory=folder / f"{node_id}.jsonl")


def _write(folder: Path, node_id: str, name: str, content: str) -> Path:
    path = folder / node_id / "outputs" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_a_file_is_live_as_soon_as_it_was_seen(tmp_path: Path) -> None:
    """What the script appends after the first round is in the run folder without a second one."""
    collector = _collector(tmp_path, "local-0")
    path = _write(tmp_path, "local-0", "train.log", "one\n")
    collector.collect(is_final=False)
    with path.open("a") as stream:
        stream.write("two\n")
    assert (tmp_path / "run/outputs/train.log").read_text() == "one\ntwo\n"


def test_the_first_nodes_file_keeps_its_path(tmp_path: Path) -> None:
    """A different file of another node goes below that node's id; an equal one is there already."""
    for node_id in ("local-0", "local-1"):
        _write(tmp_path, node_id, "model.bin", node_id)
        _write(tmp_path, node_id, "same.txt", "same")
        _collector(tmp_path, node_id).collect(is_final=True)
    run = tmp_path / "run/outputs"
    assert (run / "model.bin").read_text() == "local-0"
    assert (run / "local-1/model.bin").read_text() == "local-1"
    assert not (run / "local-1/same.txt").exists()


def test_a_file_that_the_script_replaced_is_replaced(tmp_path: Path) -> None:
    """Written anew under the same name (save, then rename): the run has the newest, also for a new collector."""
    path = _write(tmp_path, "local-0", "checkpoint", "old")
    _collector(tmp_path, "local-0").collect(is_final=False)
    path.unlink()
    path.write_text("new")
    _collector(tmp_path, "local-0").collect(is_final=True)
    assert (tmp_path / "run/outputs/checkpoint").read_text() == "new"


def test_a_removed_file_stays_in_the_run(tmp_path: Path) -> None:
    """What was there once is not taken away again."""
    path = _write(tmp_path, "local-0", "log", "text")
    collector = _collector(tmp_path, "local-0")
    collector.collect(is_final=False)
    path.unlink()
    collector.collect(is_final=True)
    assert (tmp_path / "run/outputs/log").read_text() == "text"


def test_a_file_where_another_node_has_a_folder(tmp_path: Path) -> None:
    """Both are kept (F43)."""
    _write(tmp_path, "local-0", "a", "file")
    _write(tmp_path, "local-1", "a/b", "below")
    for node_id in ("local-0", "local-1"):
        _collector(tmp_path, node_id).collect(is_final=True)
    assert (tmp_path / "run/outputs/a").read_text() == "file"
    assert (tmp_path / "run/outputs/local-1/a/b").read_text() == "below"


def test_only_files_and_inner_links_are_taken(tmp_path: Path) -> None:
    """A FIFO never blocks, a link to the outside is not followed, an inner link stays a link (F43)."""
    folder = tmp_path / "local-0/outputs"
    _write(tmp_path, "local-0", "real", "x")
    os.mkfifo(folder / "fifo")
    os.symlink("/etc", folder / "outside")
    os.symlink("real", folder / "inside")
    notes = _collector(tmp_path, "local-0").collect(is_final=True).notes
    run = tmp_path / "run/outputs"
    assert sorted(os.listdir(run)) == ["inside", "real"]
    assert os.readlink(run / "inside") == "real"
    assert [note.split(":")[0] for note in notes] == ["left out fifo", "left out outside"]


def test_files_whose_names_are_all_taken(tmp_path: Path) -> None:
    """Node 0 has `local-1/x`, node 1 has an `x` and a `local-1/x` too: every one of them is kept, and told of."""
    for node_id, names in (("local-0", ["x", "local-1/x"]), ("local-1", ["x", "local-1/x"])):
        for name in names:
            _write(tmp_path, node_id, name, f"{node_id} {name}")
    collector = _collector(tmp_path, "local-0")
    collector.collect(is_final=False)
    assert collector.collect(is_final=True).notes == []
    _collector(tmp_path, "local-1").collect(is_final=False)
    found = _collector(tmp_path, "local-1").collect(is_final=True)
    run = tmp_path / "run/outputs"
    assert {str(path.relative_to(run)): path.read_text() for path in run.rglob("*") if path.is_file()} == {
        "x": "local-0 x",
        "local-1/x": "local-0 local-1/x",
        "local-1.1/x": "local-1 x",
        "local-1/local-1/x": "local-1 local-1/x",
    }
    assert (found.notes, found.left) == (["x is in outputs/local-1.1/x"], [])


def test_a_file_where_another_node_has_this_nodes_folder(tmp_path: Path) -> None:
    """Not even a file that is called as the node is in its way."""
    for name in ("x", "local-1"):
        _write(tmp_path, "local-0", name, "other")
    _write(tmp_path, "local-1", "x", "mine")
    for node_id in ("local-0", "local-1"):
        _collector(tmp_path, node_id).collect(is_final=True)
    assert (tmp_path / "run/outputs/local-1.1/x").read_text() == "mine"


def test_the_runners_own_folder_in_logs(tmp_path: Path) -> None:
    """What a script writes to logs/azureml/ goes below its node's name, link or file, and the runner's files stay."""
    source, run = tmp_path / "work/logs", tmp_path / "run/logs"
    for folder in (source, run):
        (folder / "azureml").mkdir(parents=True)
    (run / "azureml/job_release_azureml.log").write_text("the runner's")
    for name in ("manifest.json", "failure.json", "job_release_azureml.log"):
        (source / "azureml" / name).write_text("the script's")
    os.symlink("failure.json", source / "azureml/link")
    for is_final in (False, True):
        done = Collector(source, run, "local-0", memory=tmp_path / "memory").collect(is_final=is_final)
    assert os.listdir(run / "azureml") == ["job_release_azureml.log"]
    assert (run / "azureml/job_release_azureml.log").read_text() == "the runner's"
    own = run / "local-0/azureml"
    assert sorted(os.listdir(own)) == ["failure.json", "job_release_azureml.log", "link", "manifest.json"]
    assert done.notes[0] == "azureml/failure.json is in logs/local-0/azureml/failure.json"
