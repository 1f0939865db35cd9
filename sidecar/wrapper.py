"""Runs one process of a job: claims its start token, gives it its log, waits for it, and writes its exit record.

    supervisor (or an MPI's own helper)
      `-- wrapper             own process group; passes signals on; nothing but a kill -9 ends it before its child
            `-- the process   own process group; stdout and stderr straight into the log; dies with its wrapper

The wrapper is the parent that sees how the process ended, so no other crash can lose an exit code.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, NoReturn, Optional, Tuple

from sidecar import container_end, kernel, last_room, log_place, memory_limits, system_log
from sidecar.contract import bell, events, identity, publish, settings
from sidecar.contract.layout import NodeLayout, RunLayout
from sidecar.contract.orders import ProcessSpec

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGCONT)
_NOT_STARTED_EXIT_CODE = 127
# Shorter: a busy loop on a full disk. Longer: the end of a process is told late once there is room again.
_FULL_DISK_PAUSE_S = 0.5
# A disk that cannot be read or written may be a network's, and come back. Longer: the process is long gone.
_BROKEN_DISK_LIMIT_S = 60.0


class Place(NamedTuple):
    """Where a process runs: the node's folder, the run folder its log lies in, the node's address."""

    node: NodeLayout
    run: RunLayout
    address: str


def run(spec: ProcessSpec, environ: Mapping[str, str], place: Place) -> int:
    """Runs the process to its end and returns the exit code to end with (128 + n after signal n).

    Returns 0 at once where the process was already started once: nothing is ever started twice. `environ` is the
    whole environment of the process. The caller is a process made for this alone.
    """
    wrapper, begun = identity.own_identity(), events.stamp()
    try:
        if not _claim(spec, place, wrapper):
            return 0
        if place.node.container_end.exists():
            return _record_failed_start(spec, place, begun, container_end.refusal(place.node))
        log = _open_log(place.run.root / spec.log)
    except OSError as error:
        return _record_failed_start(spec, place, begun, error)
    oom_kills, group_kills = memory_limits.read_oom_kills(), memory_limits.read_group_oom_kills()
    # Held back until they can be passed on: one that came in between would end the wrapper, and the record with it.
    signal.pthread_sigmask(signal.SIG_BLOCK, _PASSED_ON)
    argv = [spec.argv[0], *(_expand(part, environ) if spec.expand else part for part in spec.argv[1:])]
    pid, start_error = _start(argv, spec.number, environ, log, place)
    if start_error is not None:
        return _record_failed_start(spec, place, begun, start_error)
    _pass_signals_to(pid)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _PASSED_ON)
    started = {
        "process": spec.name,
        "pid": pid,
        "wrapper": wrapper.to_record(),
        "log": spec.log,
        "index": spec.number,
        "is_user": spec.is_user,
        "address": place.address,
    }
    _insist(lambda: events.append(place.node.events, events.STARTED, **started), place)
    _ring(place)
    _note(spec, place, pid, f"After variable expansion, calling {argv}")
    _, status, usage = os.wait4(pid, 0)
    record = _exit_record(spec.name, pid, status, begun)
    record.update(
        user_cpu_s=round(usage.ru_utime, 3),
        system_cpu_s=round(usage.ru_stime, 3),
        max_rss_bytes=usage.ru_maxrss * 1024,
        log_bytes=os.fstat(log).st_size,
        log_troubles=_keep_log(log, spec, place),
        is_out_of_memory=record["signal"] == "SIGKILL" and memory_limits.read_oom_kills() > oom_kills,
        memory_limit_bytes=memory_limits.read_limit_bytes(),
        killed_for_memory=memory_limits.read_group_oom_kills() - group_kills,
        raised=_read_raised(place.node.raised(spec.name)),
        is_disk_full=last_room.is_scarce(place.node),
    )
    _note(spec, place, pid, f"Ended: exit code {record['exit_code']}, signal {record['signal']}")
    _publish_exit(record, place)
    signal_number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return 128 + signal_number if signal_number else int(record["exit_code"])


def _claim(spec: ProcessSpec, place: Place, wrapper: identity.ProcessIdentity) -> bool:
    """Takes the start token; False where the process was started, or could not be, before."""
    place.node.process(spec.name).mkdir(parents=True, exist_ok=True)
    token = publish.to_json(wrapper.to_record())
    return not place.node.exit(spec.name).exists() and publish.create_once(place.node.started(spec.name), token)


def _keep_log(log: int, spec: ProcessSpec, place: Place) -> List[str]:
    """Has the log at its place again, whatever somebody did to its name; returns that in words."""
    path, told = place.run.root / spec.log, []
    try:
        _insist(lambda: told.extend(log_place.restore(log, path)), place)
    except OSError as error:
        told.append(log_place.explain(error, path))
    return told


def _insist(act: Callable[[], object], place: Place) -> None:
    """Does `act`, again and again while the disk takes nothing: what is known of a process must not depend on that."""
    broken_until = time.monotonic() + _BROKEN_DISK_LIMIT_S
    while True:
        try:
            act()
            return
        except OSError as error:
            may_heal = error.errno == errno.EIO and time.monotonic() < broken_until
            if error.errno not in last_room.FULL and not may_heal:
                raise
        last_room.give_up(place.node)
        with contextlib.suppress(OSError):  # At once, before somebody else takes the room.
            act()
            return
        time.sleep(_FULL_DISK_PAUSE_S)


def _open_log(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _start(
    argv: List[str], number: Optional[int], environ: Mapping[str, str], log: int, place: Place
) -> Tuple[int, Optional[OSError]]:
    """(pid, None), or (0, why it could not be started): the child reports a failed exec through a pipe."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        own = {**environ, settings.SYSTEM_LOG_FILE: str(place.run.process_system_log(os.getpid(), number))}
        _become(argv, own, log, place.node.work, report=write_end)
    os.close(write_end)
    with os.fdopen(read_end, "rb") as report:
        told = report.read()
    if not told:
        return pid, None
    os.waitpid(pid, 0)
    code, _, what = told.decode("utf-8", "surrogateescape").partition(" ")
    return 0, OSError(int(code), os.strerror(int(code)), what)


def _become(argv: List[str], environ: Mapping[str, str], log: int, work: Path, *, report: int) -> NoReturn:
    """Turns this forked child into the process. Never returns."""
    what = str(work)
    try:
        os.setpgid(0, 0)
        kernel.die_with_parent(signal.SIGKILL)
        for number in (*_PASSED_ON, signal.SIGPIPE, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.chdir(work)
        what = argv[0]
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.execvpe(argv[0], argv, environ)
    except OSError as error:
        os.write(report, f"{error.errno or errno.EIO} {what}".encode("utf-8", "surrogateescape"))
    except BaseException:
        os.write(report, f"{errno.EINVAL} {what}".encode("utf-8", "surrogateescape"))
    finally:
        os._exit(_NOT_STARTED_EXIT_CODE)


def _note(spec: ProcessSpec, place: Place, pid: int, message: str) -> None:
    """A line in the finer log of a user's process."""
    if spec.is_user:
        system_log.write(place.run.process_system_log(pid, spec.number), f"driver.{spec.name}", message)


def _expand(text: str, environ: Mapping[str, str]) -> str:
    """`text` with `$NAME` and `${NAME}` replaced; names that are not set stay as they are."""
    if "$" not in text:
        return text
    pieces: List[str] = []
    position = 0
    while True:
        dollar = text.find("$", position)
        if dollar < 0:
            return "".join(pieces) + text[position:]
        pieces.append(text[position:dollar])
        name, end = _variable_at(text, dollar)
        pieces.append(environ[name] if name in environ else text[dollar:end])
        position = end


def _variable_at(text: str, dollar: int) -> Tuple[str, int]:
    """(name, where it ends) of the variable that starts at `dollar`; the name is empty where none does."""
    if text.startswith("{", dollar + 1):
        close = text.find("}", dollar + 2)
        return (text[dollar + 2 : close], close + 1) if close > 0 else ("", dollar + 1)
    end = dollar + 1
    while end < len(text) and text[end].isascii() and (text[end].isalnum() or text[end] == "_"):
        end += 1
    return text[dollar + 1 : end], end


def _pass_signals_to(pid: int) -> None:
    def pass_on(number: int, _frame: object) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, number)

    for number in _PASSED_ON:
        signal.signal(number, pass_on)


def _read_raised(path: Path) -> Optional[Dict[str, Any]]:
    try:
        return publish.read_record(path)
    except (OSError, ValueError):
        return None


def _exit_record(name: str, pid: int, status: int, begun: Mapping[str, int]) -> Dict[str, Any]:
    is_signaled = os.WIFSIGNALED(status)
    return {
        "process": name,
        "pid": pid,
        "exit_code": None if is_signaled else os.WEXITSTATUS(status),
        "signal": signal_name(os.WTERMSIG(status)) if is_signaled else None,
        "is_core_dumped": os.WCOREDUMP(status),
        "error": None,
        "is_lost": False,
        "started_at_ns": begun["at_ns"],
        "started_monotonic_ns": begun["monotonic_ns"],
        **events.stamp(),
    }


def signal_name(number: int) -> str:
    """`SIGKILL` for 9; `SIG34` for one that Python has no name for."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def _record_failed_start(spec: ProcessSpec, place: Place, begun: Mapping[str, int], error: OSError) -> int:
    record = _exit_record(spec.name, 0, _NOT_STARTED_EXIT_CODE << 8, begun)
    record["error"] = f"{error.filename}: {error.strerror}"
    _publish_exit(record, place)
    return _NOT_STARTED_EXIT_CODE


def lost_record(name: str, started: Mapping[str, Any], status: Optional[int]) -> Dict[str, Any]:
    """The exit record of a process whose wrapper was killed; `status` is the wrapper's own, where its parent saw it."""
    begun = {"at_ns": int(started.get("at_ns", 0)), "monotonic_ns": int(started.get("monotonic_ns", 0))}
    record = _exit_record(name, int(started.get("pid", 0)), status if status is not None else 0, begun)
    record["is_lost"] = True
    owner = identity.identity_from(started.get("wrapper"))
    record["is_rebooted"] = owner is not None and owner.boot_id != identity.read_boot_id()
    if status is None:
        record["exit_code"] = None
    return record


def publish_lost(record: Dict[str, Any], node: NodeLayout) -> bool:
    """Writes the exit record that a killed wrapper could not; False where it had written one after all."""
    record["raised"] = _read_raised(node.raised(record["process"]))
    record.update(container_end.facts(node))
    node.process(record["process"]).mkdir(parents=True, exist_ok=True)
    if not publish.create_once(node.exit(record["process"]), publish.to_json(record)):
        return False
    publish.append_record(node.events, {"event": events.EXITED, **record})
    return True


def _publish_exit(record: Dict[str, Any], place: Place) -> None:
    def write() -> None:
        # Somebody may have removed the folder: how a process ended must be told, or it would be started again.
        place.node.process(record["process"]).mkdir(parents=True, exist_ok=True)
        # Where only the event did not fit any more, the supervisor makes it from the file once this wrapper is gone.
        if publish.create_once(place.node.exit(record["process"]), publish.to_json(record)):
            publish.append_record(place.node.events, {"event": events.EXITED, **record})

    _insist(write, place)
    _ring(place)


def _ring(place: Place) -> None:
    bell.ring(place.node.bell)
    bell.ring(place.node.agent_bell)
