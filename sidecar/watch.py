"""Which processes of a run were ordered, run, or have ended on this node, from their records and from the kernel."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

from sidecar import wrapper
from sidecar.contract import events, identity, publish
from sidecar.contract.layout import NodeLayout

# A wrapper that is gone gets this long to be seen to have written its exit record.
_RECORD_GRACE_S = 0.2


class Watched:
    """One process: what was ordered, its wrapper, its own pid, and how it ended."""

    def __init__(self, name: str, *, is_user: bool) -> None:
        self.name = name
        self.is_user = is_user
        self.wrapper: Optional[identity.ProcessIdentity] = None
        self.wrapper_pid: Optional[int] = None
        self.wrapper_status: Optional[int] = None
        self.pid: Optional[int] = None
        self.started: Dict[str, Any] = {}
        self.exit: Optional[Dict[str, Any]] = None
        self.state = ""
        self.gone_since: Optional[float] = None
        self.descriptor: Optional[int] = None


class ProcessWatch:
    """All processes of one run on one node. Wrappers write the records; this reads them and notices dead wrappers."""

    def __init__(self, layout: NodeLayout) -> None:
        self._layout = layout
        self._offset = 0
        self._by_name: Dict[str, Watched] = {}
        self._is_expecting = False

    @property
    def descriptors(self) -> List[int]:
        """Descriptors (pidfd) of wrappers that are no children of this process: readable once they are gone."""
        return [watched.descriptor for watched in self._by_name.values() if watched.descriptor is not None]

    @property
    def running_names(self) -> Set[str]:
        """Names of the processes that were ordered or started here and have no exit record yet."""
        return {watched.name for watched in self._by_name.values() if watched.exit is None}

    @property
    def is_settling(self) -> bool:
        """Whether a wrapper is gone and its exit record is still hoped for."""
        return any(watched.gone_since is not None and watched.exit is None for watched in self._by_name.values())

    @property
    def has_started_all(self) -> bool:
        """Whether there was an order to start something, so that an end can be spoken of."""
        return self._is_expecting

    @property
    def pids(self) -> Set[int]:
        """What the wrappers have started, whether it still runs or not."""
        return {watched.pid for watched in self._by_name.values() if watched.pid is not None}

    @property
    def helper_pids(self) -> Set[int]:
        """Wrappers, launchers and launchers' helpers: asked to end only through the user's processes."""
        found: Set[int] = set()
        for watched in self._by_name.values():
            if watched.wrapper is not None:
                found.add(watched.wrapper.pid)
            if watched.wrapper_pid is not None:
                found.add(watched.wrapper_pid)
            if not watched.is_user and watched.pid is not None:
                found.add(watched.pid)
        return found

    @property
    def first_failure(self) -> Optional[Dict[str, Any]]:
        """The exit record of the process that failed first; None while none has."""
        failed = [
            watched.exit
            for watched in self._by_name.values()
            if watched.exit is not None and watched.exit["exit_code"] != 0
        ]
        return min(failed, key=events.failed_first_ns) if failed else None

    def expect(self, name: str, *, is_user: bool) -> None:
        """A process called `name` is about to be started here."""
        self._is_expecting = True
        self._by_name.setdefault(name, Watched(name, is_user=is_user))

    def note_wrapper(self, name: str, pid: int) -> None:
        """The wrapper of `name` is the child `pid`."""
        self._by_name[name].wrapper_pid = pid

    def note_ended(self, pid: int, status: int) -> None:
        """The child `pid` has ended with wait status `status`; it may be nobody's wrapper."""
        for watched in self._by_name.values():
            if watched.wrapper_pid == pid and not self._is_second_start(watched, pid):
                watched.wrapper_status = status
            elif watched.wrapper is not None and watched.wrapper.pid == pid:
                watched.wrapper_status = status

    def _is_second_start(self, watched: Watched, pid: int) -> bool:
        """Whether `pid` found the start token taken and left: an earlier supervisor's wrapper has the process."""
        owner = identity.identity_from(_read(self._layout, watched.name))
        if owner is None or owner.pid == pid:
            return False
        watched.wrapper_pid = None
        watched.wrapper = owner
        return True

    def refresh(self) -> None:
        """Reads what has been written since, and writes the record that a killed wrapper could not."""
        for record, offset in publish.iterate_records(self._layout.events, offset=self._offset):
            self._offset = offset
            if record["event"] == events.STARTED:
                self._note_started(record)
            elif record["event"] == events.EXITED:
                self._note_exit(record)
        now = time.monotonic()
        for watched in list(self._by_name.values()):
            if watched.exit is None and self._is_wrapper_gone(watched):
                if watched.gone_since is None:
                    watched.gone_since = now
                    self._close_descriptor(watched)
                self._settle(watched, is_sure=now - watched.gone_since >= _RECORD_GRACE_S)

    def give_up_on_the_dead(self) -> None:
        """After a stop has left nothing alive: whoever has no exit record gets one now."""
        for watched in list(self._by_name.values()):
            if watched.exit is None:
                self._settle(watched, is_sure=True)

    def changed_states(self) -> Iterator[Tuple[Watched, str]]:
        """(process, state now) for those that were stopped (`T`) or go on since the last call."""
        for watched in self._by_name.values():
            stat = identity.read_stat(watched.pid) if watched.pid and watched.exit is None else None
            if stat is None:
                continue
            state = "T" if stat.state in ("T", "t") else "R"
            if state != (watched.state or "R"):
                watched.state = state
                yield watched, state

    def _note_started(self, record: Dict[str, Any]) -> None:
        name = record["process"]
        watched = self._by_name.setdefault(name, Watched(name, is_user=bool(record["is_user"])))
        self._is_expecting = True
        watched.started = record
        watched.pid = int(record["pid"])
        watched.wrapper = identity.identity_from(record["wrapper"])
        if watched.wrapper is not None and watched.wrapper.pid != watched.wrapper_pid and watched.exit is None:
            watched.descriptor = _open_pidfd(watched.wrapper.pid)

    def _note_exit(self, record: Dict[str, Any]) -> None:
        watched = self._by_name.setdefault(record["process"], Watched(record["process"], is_user=True))
        if watched.exit is None:
            watched.exit = record
        self._close_descriptor(watched)

    def _close_descriptor(self, watched: Watched) -> None:
        if watched.descriptor is not None:
            os.close(watched.descriptor)
            watched.descriptor = None

    def _is_wrapper_gone(self, watched: Watched) -> bool:
        if watched.wrapper_status is not None:
            return True
        if watched.wrapper is not None:
            return not identity.is_alive(watched.wrapper)
        started = identity.identity_from(_read(self._layout, watched.name))
        return watched.wrapper_pid is None and (started is None or not identity.is_alive(started))

    def _settle(self, watched: Watched, *, is_sure: bool) -> None:
        """Takes the exit record from its file, or writes one once it is sure that nobody else will."""
        with contextlib.suppress(ValueError):
            record = publish.read_record(self._layout.exit(watched.name))
            if record is not None:
                publish.append_record(self._layout.events, {"event": events.EXITED, **record})
                self._note_exit(record)
                return
        if is_sure:
            # One that died with its node before its `started` event has left its token alone.
            started = watched.started or {"wrapper": _read(self._layout, watched.name)}
            record = wrapper.lost_record(watched.name, started, watched.wrapper_status)
            wrapper.publish_lost(record, self._layout)
            self._note_exit(record)


def _read(layout: NodeLayout, name: str) -> Optional[Dict[str, Any]]:
    try:
        return publish.read_record(layout.started(name))
    except ValueError:
        return None


def _open_pidfd(pid: int) -> Optional[int]:
    """A descriptor that becomes readable when `pid` ends; None before Linux 5.3, where the idle tick sees it."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
