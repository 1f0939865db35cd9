"""Copies one run to a user's own MLflow server while it goes on, in a process of its own.

Whatever that server does, the run neither waits for it nor fails by it.

records --1 MiB at a time--> steps (mirror_batches) --> requests (mlflow_rest) --all taken--> offset (mirror_state)
   the server is away: wait, 1 s to 60 s, and go on from the offset, without what it has already (mirror_doubt)
   the server refuses a request: try its halves alone, note and leave out what it refuses
"""

from __future__ import annotations

import os
import time
from collections import ChainMap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runner.history.moments import milliseconds
from runner.history.run_record import RunRecord, read_record
from runner.history.status import RunStatus
from runner.interop import mirror_batches as batches
from runner.interop.mirror_doubt import SentBefore
from runner.interop.mirror_files import chosen_files, place_of
from runner.interop.mirror_state import MirrorState, RemoteRun, read_state, write_state
from runner.interop.mlflow_rest import ABSENT, MlflowServer, Refused, ServerAway
from runner.spec.mlflow_mirror import MirrorSpec
from sidecar.contract import publish
from sidecar.contract.layout import RunLayout

# How late a value may show on the server. Shorter costs more requests, each of which may carry a thousand values.
LOOK_S = 1.0
_LONGEST_PAUSE_S = 60.0
# How long a server may stay away after the run's end before this process gives up. Shorter loses servers that are off
# for a night, longer leaves a process behind for nothing; the next mirrored run, or a person, takes it up again.
PATIENCE_S = 24 * 3600.0
_CHUNK_BYTES = 1024 * 1024

RUN_ID_TAG = "scriptrun.run_id"
_STATUSES = {RunStatus.COMPLETED: "FINISHED", RunStatus.FAILED: "FAILED", RunStatus.CANCELED: "KILLED"}


class Mirror:
    """The copying of one run. The caller holds the mirror's lock, and `is_mine` says whether that still counts."""

    def __init__(
        self,
        run: RunLayout,
        spec: MirrorSpec,
        server: MlflowServer,
        *,
        is_mine: Callable[[], bool] = lambda: True,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._run = run
        self._spec = spec
        self._server = server
        self._is_mine = is_mine
        self._sleep = sleep
        self._state = read_state(run) or MirrorState()
        self._sent_before: SentBefore | None = None

    @property
    def problem(self) -> str | None:
        """Why nothing is moving, in words; None where nothing is in the way."""
        return self._state.problem

    def run(self, *, patience_s: float = PATIENCE_S) -> bool:
        """Copies until all of a run that has ended is there: True; or until the server has been away too long."""
        publish.remove_leftovers(self._run.mirror.state)
        pause_s, away_s = LOOK_S, 0.0
        while not self._state.is_complete:
            is_ended = False
            if not self._is_mine():
                return False
            try:
                record = read_record(self._run)
                is_ended = record.status.is_terminal
                self._round(record)
            except (ServerAway, OSError) as error:  # OSError: the disk is full; what is not noted is sent again.
                self._note_problem(str(error))
                if is_ended and away_s >= patience_s:
                    return False
                self._sleep(pause_s)
                away_s, pause_s = away_s + pause_s, min(2 * pause_s, _LONGEST_PAUSE_S)
                continue
            except Refused as error:  # Of the run itself: nothing can follow.
                self._note_problem(f"given up: {error}")
                return False
            pause_s, away_s = LOOK_S, 0.0
            self._note_problem(None)
            if not self._state.is_complete:
                self._sleep(LOOK_S)
        return True

    def _round(self, record: RunRecord) -> None:
        """Sends everything that there is. What a run that has ended wrote was all there before it had ended."""
        if not self._run.mirror.state.exists():
            self._save()
        self._remote(record)
        for path in sorted(self._run.metrics.glob("*.jsonl")):
            while self._send_records(path, record):
                pass
        self._send_tags(record)
        if record.status.is_terminal:
            self._end(record)
            self._send_files(record)
            self._state.is_complete = True
            self._save()

    def _send_records(self, path: Path, record: RunRecord) -> bool:
        """Sends the next lines of a file of metrics; False where there are none."""
        state, name = self._state, path.name
        begin = state.offsets.get(name, 0)
        size = path.stat().st_size
        if size < begin:  # Its node lost it, and began it anew.
            begin, state.doubtful[name] = 0, size
        in_doubt = state.doubtful.get(name, 0) - begin
        lines = _read_lines(path, begin, min(in_doubt, _CHUNK_BYTES) if in_doubt > 0 else _CHUNK_BYTES)
        if not lines:
            return False
        end = begin + len(lines)
        self._sent_before = SentBefore(self._server) if in_doubt > 0 else None
        if in_doubt <= 0:
            state.doubtful[name] = end
            self._save()
        numbers: ChainMap[str, int] = ChainMap({}, state.numbers)  # Of what fails half-way nothing is counted.
        for step in batches.steps(publish.parse_records(lines), record.run_id, numbers):
            self._take(step, record)
        state.numbers.update(numbers.maps[0])
        state.offsets[name] = end
        self._save()
        return True

    # The runs on the server

    def _remote(self, record: RunRecord) -> RemoteRun:
        """The job's run on the server: found by its tag where a mirror before this one made it, else made now."""
        found = self._state.runs.get(record.run_id)
        if found is None:
            # The config's tags come before what the script says of them, a person's later ones after it.
            asked = batches.sendable_tags(record.request.get("tags") or {})
            tags = {
                **asked,
                **{name: text for name, text in record.properties.items() if name.startswith("mlflow.")},
                "mlflow.user": record.user_id,
                "mlflow.source.name": record.script_name or "",
                "mlflow.source.type": "JOB",
            }
            found = self._make(record.run_id, record.name or record.run_id, _start_ms(record), tags, record)
            self._state.tags = asked
        return found

    def _make(self, run_id: str, name: str, at_ms: int, tags: dict[str, str], record: RunRecord) -> RemoteRun:
        experiment_id = self._experiment_id(self._spec.experiment_name or record.experiment_name)
        query = f"tags.`{RUN_ID_TAG}` = '{run_id}'"
        answer = self._server.post("runs/search", experiment_ids=[experiment_id], filter=query, max_results=1)
        if answer.get("runs"):
            info = answer["runs"][0]["info"]
            self._doubt_all()
        else:
            info = self._server.post(
                "runs/create",
                experiment_id=experiment_id,
                user_id=record.user_id,
                run_name=name,
                start_time=at_ms,
                tags=[{"key": key, "value": text} for key, text in {**tags, RUN_ID_TAG: run_id}.items()],
            )["run"]["info"]
        remote = RemoteRun(id=info["run_id"], artifact_uri=info.get("artifact_uri", ""))
        self._state.runs[run_id] = remote
        self._save()
        return remote

    def _doubt_all(self) -> None:
        """A mirror that noted nothing, or whose notes are lost, was here before."""
        for path in self._run.metrics.glob("*.jsonl"):
            if path.name not in self._state.offsets:
                self._state.doubtful[path.name] = path.stat().st_size

    def _experiment_id(self, name: str) -> str:
        if self._state.experiment_id is None:
            found = self._find_experiment(name)
            if found is None:
                try:
                    found = str(self._server.post("experiments/create", name=name)["experiment_id"])
                except Refused:  # Another run's mirror was quicker.
                    found = self._find_experiment(name)
                    if found is None:
                        raise
            self._state.experiment_id = found
        return self._state.experiment_id

    def _find_experiment(self, name: str) -> str | None:
        try:
            found = self._server.get("experiments/get-by-name", experiment_name=name)["experiment"]
        except Refused as error:
            if error.code != ABSENT:
                raise
            return None
        if found.get("lifecycle_stage") == "deleted":
            raise Refused(f"the experiment {name!r} was deleted there")
        return str(found["experiment_id"])

    def _id_of(self, run_id: str, record: RunRecord) -> str:
        """The server's id of the job's run or a child; one whose beginning is yet to be read begins now."""
        if run_id not in self._state.runs:
            self._begin(batches.Child(run_id=run_id, parent=record.run_id, name=None, at_ms=_start_ms(record)), record)
        return self._state.runs[run_id].id

    # What is sent

    def _take(self, step: batches.Step, record: RunRecord) -> None:
        if isinstance(step, batches.Batch):
            self._send(step, record)
        elif isinstance(step, batches.Child):
            self._begin(step, record)
        elif isinstance(step, batches.Ending):
            self._update(step.run_id, step.status, step.at_ms, record)
        else:
            self._untag(step.run_id, step.name, record)

    def _begin(self, child: batches.Child, record: RunRecord) -> None:
        parent = record.run_id if child.parent == child.run_id else child.parent
        tags = {"mlflow.parentRunId": self._id_of(parent, record)}
        if child.run_id in self._state.runs:  # What it logged was read before that it began.
            self._send(batches.Batch(child.run_id, tags=tags), record)
            if child.name:
                self._try("runs/update", run_id=self._state.runs[child.run_id].id, run_name=child.name)
            return
        if child.run_id not in self._state.open_children:
            self._state.open_children.append(child.run_id)
        self._make(child.run_id, child.name or child.run_id, child.at_ms, tags, record)

    def _update(self, run_id: str, status: str, at_ms: int, record: RunRecord) -> None:
        end: dict[str, Any] = {} if status == "RUNNING" else {"end_time": at_ms}
        self._try("runs/update", run_id=self._id_of(run_id, record), status=status, **end)
        self._state.open_children = [child for child in self._state.open_children if child != run_id or not end]

    def _send(self, batch: batches.Batch, record: RunRecord) -> None:
        remote = self._id_of(batch.run_id, record)
        if self._sent_before is not None and batch.metrics:
            batch = self._sent_before.left_out(batch, remote)
        self._post(batch, remote)

    def _post(self, batch: batches.Batch, remote: str) -> None:
        try:
            if batch.size:
                self._server.post("runs/log-batch", run_id=remote, **batch.body())
        except Refused as error:
            if batch.size > 1:
                for half in batch.halves():
                    self._post(half, remote)
                return
            # Was the run deleted there, then all of it ends here.
            info = self._server.get("runs/get", run_id=remote)["run"]["info"]
            if info.get("lifecycle_stage") == "deleted":
                raise Refused("the run was deleted there") from error
            self._note_refusal(str(error))

    def _send_tags(self, record: RunRecord) -> None:
        """The tags of the config and those that a person has changed."""
        tags = batches.sendable_tags(record.tags)
        changed = {name: text for name, text in tags.items() if self._state.tags.get(name) != text}
        for batch in batches.tag_batches(record.run_id, changed):
            self._send(batch, record)
        for name in self._state.tags.keys() - tags.keys():
            self._untag(record.run_id, name, record)
        if tags != self._state.tags:
            self._state.tags = tags
            self._save()

    def _untag(self, run_id: str, name: str, record: RunRecord) -> None:
        self._try("runs/delete-tag", run_id=self._id_of(run_id, record), key=name, is_absent_fine=True)

    def _send_files(self, record: RunRecord) -> None:
        """The files that the config chose, each once."""
        for path in chosen_files(self._run.root, self._spec.files):
            run_id, name = place_of(path, record.run_id)
            self._id_of(run_id, record)
            status = os.stat(self._run.root / path)
            signature = [status.st_size, status.st_mtime_ns]
            if self._state.files.get(path) == signature:
                continue
            try:
                self._server.put_file(self._state.runs[run_id].artifact_uri, name, self._run.root / path)
            except (Refused, PermissionError, UnicodeError) as error:
                self._note_refusal(f"{path}: {error}")
            self._state.files[path] = signature
            self._save()

    def _end(self, record: RunRecord) -> None:
        status = _STATUSES.get(record.status, "FAILED")
        at_ms = milliseconds(record.end_time_utc) or int(time.time() * 1000)
        for run_id in [*self._state.open_children, record.run_id]:
            self._update(run_id, status, at_ms, record)

    def _try(self, path: str, *, is_absent_fine: bool = False, **body: Any) -> None:
        """A call without which the rest is still right."""
        try:
            self._server.post(path, **body)
        except Refused as error:
            if not is_absent_fine or error.code != ABSENT:
                self._note_refusal(str(error))

    # What a person may read

    def _note_refusal(self, text: str) -> None:
        self._state.refused_count += 1
        self._say(f"refused: {text}")

    def _note_problem(self, text: str | None) -> None:
        if text == self._state.problem:
            return
        self._say(text or "the server answers again")
        self._state.problem = text
        try:
            self._save()
        except OSError:  # A full disk: it is saved with the next step that is taken.
            pass

    def _say(self, text: str) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        try:
            publish.append_line(self._run.mirror.log, f"{stamp} {text}".encode("utf-8", "backslashreplace"))
        except OSError:  # A full disk: the state says it too, once there is room.
            pass

    def _save(self) -> None:
        write_state(self._run, self._state)


def _read_lines(path: Path, begin: int, size: int) -> bytes:
    """Whole lines from byte `begin`, about `size` bytes of them; one that has not been ended waits."""
    with open(path, "rb") as stream:
        stream.seek(begin)
        found = stream.read(size)
        if found and not found.endswith(b"\n"):
            found += stream.readline()
    return found[: found.rfind(b"\n") + 1]


def _start_ms(record: RunRecord) -> int:
    return milliseconds(record.start_time_utc or record.created_utc) or int(time.time() * 1000)
