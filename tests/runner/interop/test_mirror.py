"""A run is copied to a user's MLflow server, whatever happens to that server or to the copying."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.history.run_record import read_record
from runner.history.status import RunStatus
from runner.interop.mirror import Mirror
from runner.interop.mirror_batches import Batch, steps
from runner.interop.mirror_sentence import describe_mirror
from runner.interop.mirror_state import read_state
from runner.interop.mlflow_rest import MlflowServer
from runner.spec.mlflow_mirror import MirrorSpec
from sidecar.contract.layout import WorkspaceLayout
from tests.doubles.mlflow_server import MlflowServerDouble
from tests.doubles.run_folders import RunFolder, new_run

CHILD = "digits_1790000009_00000009"


@pytest.fixture
def server() -> Iterator[MlflowServerDouble]:
    found = MlflowServerDouble()
    yield found
    found.close()


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run that is going on and has logged a little of everything."""
    run = new_run(WorkspaceLayout(tmp_path))
    for number in range(3):
        run.metric("mine", number, n=number)
    run.metric("loss", "NaN", n=3, step=7, f=1, at=1234)
    run.metric("words", "no number", n=4)
    run.metric("lr", "0.1", n=5, kind="param")
    run.metric("color", "red", n=6, kind="tag")
    run.metric("", "kid", n=7, kind="child", r=CHILD, parent=run.run_id)
    run.metric("k", 1, n=8, r=CHILD)
    run.record(RunStatus.RUNNING, tags={"team": "vision"}, request={"tags": {"team": "vision"}})
    return run


class Stopped(Exception):
    """Stands for a kill, at the moment at which a mirror sleeps."""


def stop(_: float) -> None:
    raise Stopped


def mirror(run: RunFolder, address: str, *patterns: str, sleep: object = stop, **login: str) -> Mirror:
    spec = MirrorSpec(tracking_uri=address, files=patterns)
    return Mirror(run.layout, spec, MlflowServer(address, login), sleep=sleep)  # type: ignore[arg-type]


def test_all_of_a_run_is_there(run: RunFolder, server: MlflowServerDouble) -> None:
    """Metrics, parameters, tags and child runs arrive in the run's experiment, and the status at its end."""
    run.record(RunStatus.COMPLETED, tags={"team": "vision"})
    assert mirror(run, server.address).run()
    own, kid = server.run_of(run.run_id), server.run_of(CHILD)
    assert server.experiments == {"digits": own.info["experiment"]}
    assert own.values("mine") == [(0.0, 0), (1.0, 1), (2.0, 2)]
    assert [metric for metric in own.metrics if metric["key"] == "loss"] == [
        {"key": "loss", "value": "NaN", "timestamp": 1234, "step": 7}
    ]
    assert own.params == {"lr": "0.1"}
    assert (own.tags["color"], own.tags["team"], own.tags["mlflow.user"]) == ("red", "vision", "ada")
    assert (own.info["status"], kid.info["status"]) == ("FINISHED", "FINISHED")
    assert (kid.info["run_name"], kid.values("k")) == ("kid", [(1.0, 0)])
    assert kid.tags["mlflow.parentRunId"] == own.info["run_id"]


def test_chosen_files_are_there(run: RunFolder, server: MlflowServerDouble) -> None:
    """Files that a pattern names are sent, a child's to the child; the runner's own state never is."""
    for path in ("outputs/m.bin", "artifacts/notes/a.txt", f"children/{CHILD}/artifacts/b.txt", "logs/x.log"):
        (run.layout.root / path).parent.mkdir(parents=True, exist_ok=True)
        (run.layout.root / path).write_text(path)
    run.record(RunStatus.COMPLETED)
    assert mirror(run, server.address, "*", "!logs/**", "!run.json").run()
    own, kid = (server.run_of(run_id).info["artifact_uri"].split(":/")[1] for run_id in (run.run_id, CHILD))
    assert set(server.files) == {f"{own}/outputs/m.bin", f"{own}/notes/a.txt", f"{kid}/b.txt"}


def test_a_mirror_that_was_killed_goes_on(run: RunFolder, server: MlflowServerDouble) -> None:
    """The next one goes on behind what was taken, in the same run."""
    with pytest.raises(Stopped):
        mirror(run, server.address).run()
    run.metric("mine", 3, n=9)
    run.metric("color", None, n=10, kind="tag_removed")
    run.record(RunStatus.FAILED, tags={"team": "sound"})
    assert mirror(run, server.address).run()
    own = server.run_of(run.run_id)
    assert own.values("mine") == [(0.0, 0), (1.0, 1), (2.0, 2), (3.0, 3)]
    assert (own.tags.get("color"), own.tags["team"], own.info["status"]) == (None, "sound", "FAILED")
    assert len(server.runs) == 2


def test_a_run_made_just_before_a_kill_is_found_again(run: RunFolder, server: MlflowServerDouble) -> None:
    """Without what it has noted a mirror still knows its run on the server."""
    with pytest.raises(Stopped):
        mirror(run, server.address).run()
    run.layout.mirror.state.unlink()
    run.record(RunStatus.COMPLETED)
    assert mirror(run, server.address).run()
    assert len(server.runs) == 2


@pytest.mark.parametrize("lost", [{1}, {2}, {1, 2}, {3}])
def test_answers_that_are_lost_double_nothing(run: RunFolder, server: MlflowServerDouble, lost: set[int]) -> None:
    """What the server took without a word is asked for before it is sent again, though it keeps equal values twice."""
    for number in range(9, 2509):
        run.metric("mine", 1.5, n=number, second=number // 500)
    run.record(RunStatus.COMPLETED)
    server.unanswered_batches = lost
    assert mirror(run, server.address, sleep=lambda _: None).run()
    own = server.run_of(run.run_id)
    assert sorted(step for _, step in own.values("mine")) == list(range(2503))
    assert server.run_of(CHILD).values("k") == [(1.0, 0)]


def test_a_mirror_without_its_notes_doubles_nothing(run: RunFolder, server: MlflowServerDouble) -> None:
    """All that an earlier one may have sent is asked for."""
    with pytest.raises(Stopped):
        mirror(run, server.address).run()
    run.layout.mirror.state.unlink()
    run.metric("mine", 3, n=9)
    run.record(RunStatus.COMPLETED)
    assert mirror(run, server.address).run()
    assert server.run_of(run.run_id).values("mine") == [(0.0, 0), (1.0, 1), (2.0, 2), (3.0, 3)]
    assert server.run_of(CHILD).values("k") == [(1.0, 0)]


def test_one_whose_notes_were_taken_over_ends(run: RunFolder, server: MlflowServerDouble) -> None:
    """A mirror that finds its lock gone leaves the run to the next one."""
    spec = MirrorSpec(tracking_uri=server.address)
    assert not Mirror(run.layout, spec, MlflowServer(server.address, {}), is_mine=lambda: False).run()
    assert server.runs == {}


def test_a_persons_tag_comes_after_the_scripts(run: RunFolder, server: MlflowServerDouble) -> None:
    """As the workspace shows it: the config's tag, then the script's, then what a person has changed since."""
    run.metric("team", "script", n=9, kind="tag")
    run.record(RunStatus.RUNNING, tags={"team": "config", "color": "blue"}, request={"tags": {"team": "config"}})
    with pytest.raises(Stopped):
        mirror(run, server.address).run()
    own = server.run_of(run.run_id)
    assert (own.tags["team"], own.tags["color"]) == ("script", "blue")


def test_a_login_is_not_sent_on(run: RunFolder, server: MlflowServerDouble) -> None:
    """A server that sends on to another is as good as away; the problem names the other."""
    elsewhere = MlflowServerDouble()
    server.redirect_to = f"{elsewhere.address}/login"
    with pytest.raises(Stopped):
        mirror(run, server.address, MLFLOW_TRACKING_TOKEN="t").run()
    elsewhere.close()
    state = read_state(run.layout)
    assert elsewhere.runs == {}
    assert state is not None and state.problem is not None and elsewhere.address in state.problem


@pytest.mark.parametrize("status", [401, 429, 500, 503])
def test_a_server_that_cannot_is_waited_for(run: RunFolder, server: MlflowServerDouble, status: int) -> None:
    """A server that is down, or says that it is, is asked again, ever more seldom, and then gets everything."""
    run.record(RunStatus.COMPLETED)
    server.refuse_all_with = status
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        state = read_state(run.layout)
        assert state is not None and state.problem is not None and "not now" in state.problem
        if len(pauses) == 8:
            server.refuse_all_with = None

    assert mirror(run, server.address, sleep=sleep).run()
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]
    assert server.run_of(run.run_id).values("mine") == [(0.0, 0), (1.0, 1), (2.0, 2)]


def test_a_server_that_never_answers_is_given_up(run: RunFolder) -> None:
    """After the run's end a mirror has patience for a while only; what is left is noted."""
    run.record(RunStatus.COMPLETED)
    closed = MlflowServerDouble()
    closed.close()
    pauses: list[float] = []
    assert not mirror(run, closed.address, sleep=pauses.append).run(patience_s=100)
    assert sum(pauses) >= 100
    state = read_state(run.layout)
    assert state is not None and state.problem is not None and not state.is_complete
    assert b"refused" in run.layout.mirror.log.read_bytes()


def test_status_says_how_far_it_is(run: RunFolder, server: MlflowServerDouble) -> None:
    """What is in the way, then that all of it is there; nothing of a run that has no server."""
    assert describe_mirror(run.layout, read_record(run.layout)) is None
    run.record(RunStatus.COMPLETED, request={"mlflow": {"tracking_uri": server.address}})
    goes_on = f"runner mirror {run.run_id}"
    assert (
        describe_mirror(run.layout, read_record(run.layout))
        == f"not all of it is at {server.address}: {goes_on} goes on"
    )
    server.refuse_all_with = 503
    with pytest.raises(Stopped):
        mirror(run, server.address).run()
    told = describe_mirror(run.layout, read_record(run.layout))
    assert told is not None and told.startswith("behind: ") and told.endswith(f"; {goes_on} tries it again")
    server.refuse_all_with = None
    assert mirror(run, server.address).run()
    assert describe_mirror(run.layout, read_record(run.layout)) == f"all of it is at {server.address}"


def test_what_the_server_refuses_costs_only_itself(run: RunFolder, server: MlflowServerDouble) -> None:
    """One value that the server will not have is left out and noted; all others arrive."""
    run.metric("bad", 1, n=9)
    run.record(RunStatus.COMPLETED)
    assert mirror(run, server.address).run()
    own = server.run_of(run.run_id)
    assert len(own.values("mine")) == 3
    assert own.params == {"lr": "0.1"}
    state = read_state(run.layout)
    assert state is not None and state.refused_count == 1
    assert b"bad is no metric" in run.layout.mirror.log.read_bytes()


def test_a_run_deleted_on_the_server_ends_its_mirror(run: RunFolder, server: MlflowServerDouble) -> None:
    """Nothing is pressed on a server whose user threw the run away."""
    with pytest.raises(Stopped):
        mirror(run, server.address).run()
    server.runs.clear()
    run.metric("mine", 3, n=9)
    run.record(RunStatus.COMPLETED)
    assert not mirror(run, server.address).run()
    assert b"given up" in run.layout.mirror.log.read_bytes()


def test_many_values_go_in_large_requests(run: RunFolder, server: MlflowServerDouble) -> None:
    """Thousands of values are a handful of requests, none larger than MLflow takes."""
    with open(run.layout.process_metrics("main"), "a") as stream:
        for number in range(4500):
            entry = {"w": "b", "n": number, "t": number, "name": "x", "value": number, "step": None, "kind": "scalar"}
            stream.write(json.dumps(entry) + "\n")
        table = {"kind": "table", "name": "t", "value": {"a": list(range(2500))}, "w": "b", "n": 4500, "t": 1}
        stream.write(json.dumps(table) + "\n" + '{"w":"b","n":4501,"t":1,"na')
    run.record(RunStatus.COMPLETED)
    assert mirror(run, server.address).run()
    own = server.run_of(run.run_id)
    assert own.values("x") == [(float(number), number) for number in range(4500)]
    assert len(own.values("t/a")) == 2500
    assert max(server.batch_sizes) <= 1000
    assert len(server.batch_sizes) <= 14


def test_order_is_kept_where_it_matters() -> None:
    """What was logged to a child is sent before its end, and a tag that was set again after its removal is there."""
    records = [
        {"kind": "child", "r": "c", "t": 1},
        {"kind": "scalar", "name": "x", "value": 1, "r": "c", "t": 1},
        {"kind": "status", "status": "Failed", "r": "c", "t": 2_000_000},
        {"kind": "tag", "name": "a", "value": "1", "t": 3},
        {"kind": "tag_removed", "name": "a", "t": 4},
        {"kind": "tag", "name": "a", "value": "2", "t": 5},
        {"kind": "status", "status": "Failed", "t": 6},
        {"kind": "scalar"},
    ]
    found = [type(step).__name__ for step in steps(records, "own", {})]
    assert found == ["Child", "Batch", "Ending", "Batch", "Untag", "Batch"]


def test_names_and_texts_are_made_to_fit() -> None:
    """What MLflow would refuse in a name becomes `_`, and long texts are cut as its client cuts them."""
    (batch,) = steps(
        [
            {"kind": "scalar", "name": "a#b(é)", "value": True, "step": 2**70, "t": 1_000_000},
            {"kind": "param", "name": "p", "value": "x" * 10_000, "t": 1},
        ],
        "own",
        {},
    )
    assert isinstance(batch, Batch)
    assert batch.metrics == [{"key": "a_b_é_", "value": 1.0, "timestamp": 1, "step": 0}]
    assert len(batch.params["p"]) == 6000


def test_a_batch_is_halved_whatever_it_holds() -> None:
    """No part is lost or doubled on the way down to single ones."""
    metrics = [{"key": f"m{number}"} for number in range(3)]
    open_batches = [Batch("r", metrics, {"a": "1", "b": "2"}, {"c": "3"})]
    singles: list[Batch] = []
    while open_batches:
        batch = open_batches.pop()
        (singles if batch.size == 1 else open_batches).extend([batch] if batch.size == 1 else batch.halves())
    assert sorted(metric["key"] for batch in singles for metric in batch.metrics) == ["m0", "m1", "m2"]
    assert sorted(pair for single in singles for pair in {**single.params, **single.tags}.items()) == [
        ("a", "1"),
        ("b", "2"),
        ("c", "3"),
    ]


def test_login_goes_with_every_request(run: RunFolder, server: MlflowServerDouble) -> None:
    """A user name and a password, or a token, come from MLflow's own variables."""
    plain = MlflowServer(server.address, {"MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": "x"})
    token = MlflowServer(server.address, {"MLFLOW_TRACKING_TOKEN": "t"})
    assert plain._headers["Authorization"] == "Basic YWRhOng="
    assert token._headers["Authorization"] == "Bearer t"
