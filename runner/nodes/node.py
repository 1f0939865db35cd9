"""One node of a run: keeps a link to its agent up, sends it orders, and journals its events exactly once."""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from runner.errors import MachineError
from runner.nodes import clock, contact
from runner.nodes.clock import ClockOffset
from runner.nodes.delivery import Delivery
from runner.nodes.further_shipment import FurtherShipment
from runner.nodes.intake import DISK_FULL, Intake
from runner.nodes.node_state import NodeState
from runner.nodes.outbox import Outbox
from runner.nodes.shipment import Shipment
from runner.transports.transport import Link, Transport
from sidecar.contract import publish, settings
from sidecar.contract.frames import EVENTS_STREAM, BrokenFrame, Frame, FrameKind, json_frame, read_frame
from sidecar.contract.orders import ORDER_NAMES, NodePlan, Verb

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 5.0
_IDLE_PAUSE_S = 0.5
# An agent answers a ping every two seconds. Shorter, and a slow link or a busy node is taken for a dead one.
_SILENCE_LIMIT_S = 8.0
# How long a node's bytes wait in the network before the disk here is tried again.
DISK_PAUSE_S = 0.5
# The last line of a traceback is short; a banner may be long.
_WORDS_LIMIT = 200
# What ends in files here.
_KEPT = frozenset({FrameKind.DATA, FrameKind.FILE, FrameKind.RESTART})


class Node:
    """A node with a thread that reads its link. `on_change` is called from that thread after every piece of news.

    `intake` and `shipment` are for a node that has no folder in common with this machine: what it sends, and what is
    sent to it. `contact_file` tells other processes that the node is out of reach or has no room, `clock_file` how its
    clocks are off. A node that is out of reach for longer than `contact_limit_s` is given up; None: never.
    """

    def __init__(
        self,
        plan: NodePlan,
        transport: Transport,
        journal: Path,
        on_change: Callable[[], None],
        *,
        intake: Intake | None = None,
        delivery: Delivery | None = None,
        shipment: Shipment | None = None,
        contact_file: Path | None = None,
        clock_file: Path | None = None,
        contact_limit_s: float | None = None,
    ) -> None:
        self.node_id = plan.node_id
        self.plan = plan
        self.state = NodeState(node_id=plan.node_id)
        # An earlier controller may have lost it: a node is out of reach since then, whoever looks for it.
        self._told_lost = contact.read_lost(contact_file) if contact_file is not None else None
        self.contact_lost_at = self._told_lost.lost_at if self._told_lost is not None else None
        self._is_told_full = contact_file is not None and contact.read_full(contact_file)
        self.problem: MachineError | None = None
        self.is_removed = False
        # It was let go while its containers could not be removed.
        self.has_left_containers = False
        # The run went on to its processes once, so the node had its plan, whatever is left here of what it told.
        self.has_begun = False
        self.mute_link_count = 0
        self.refusal: str | None = None
        self.hello: dict[str, Any] | None = None
        self.clock: ClockOffset | None = None
        self.link_notes: tuple[str, ...] = ()
        self.address: str | None = None
        self.intake = intake
        self.delivery = delivery
        self.shipment = shipment
        # Images, data sets: what else is sent to the node, by what its frames say that it is.
        self.further_shipments: dict[str, FurtherShipment] = {}
        self._contact_file = contact_file
        self._clock_file = clock_file
        self._contact_limit_s = contact_limit_s
        self._transport = transport
        self._journal = journal
        self._on_change = on_change
        self._orders: dict[str, dict[str, Any]] = {}
        self._accepted: set[str] = set()
        self._link: Link | None = None
        self._outbox: Outbox | None = None
        self._guard = threading.Lock()
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._serve, name=f"node-{plan.node_id}", daemon=True)
        for path in (contact_file, clock_file):
            if path is not None:
                publish.remove_leftovers(path)
        self._length = self._parsed = self._replay()

    def _replay(self) -> int:
        """Takes what an earlier controller journaled; the length of the journal is where the events go on."""
        publish.drop_torn_tail(self._journal)
        for record in publish.read_records(self._journal):
            self.state.apply(record)
        return self._journal.stat().st_size if self._journal.exists() else 0

    def open(self) -> None:
        """Begins to reach for the node, unless it was begun already; returns at once."""
        if self._thread.ident is None:
            self._thread.start()

    def close(self) -> None:
        """Lets go of the link; the node goes on by itself."""
        self._is_closing.set()
        with self._guard:
            link = self._link
        if link is not None:
            link.close()
        if self._thread.ident is not None:
            self._thread.join(timeout=_LONGEST_PAUSE_S)
        self._note_disk(is_full=False)

    def order(self, name: str, verb: Verb, body: Mapping[str, Any] | None = None) -> None:
        """Gives an order: now, and again after every reconnection until the node has accepted it."""
        with self._guard:
            if name in self._orders:
                return
            self._orders[name] = {"order": name, "verb": verb.value, **(body or {})}
            if self._outbox is not None:
                self._outbox.post(json_frame(FrameKind.ORDER, self._orders[name]))

    def ship(self, shipment: FurtherShipment) -> None:
        """Begins to send what the node lacks of it: now, and on every link until the node has all."""
        with self._guard:
            self.further_shipments[shipment.of] = shipment
            if self._outbox is not None:
                # Not posted: of a million files the questions alone would keep everything else waiting.
                self._outbox.ship(iter(shipment.questions()))

    @property
    def is_reached(self) -> bool:
        """Whether the node has the plan of this run, from this controller or from an earlier one."""
        return "plan" in self._accepted or self._length > 0 or self.has_begun

    def has_accepted(self, name: str) -> bool:
        """Whether the node has the order in a file of its own."""
        return name in self._accepted

    def _serve(self) -> None:
        """Stays in contact, whatever goes wrong: of a node that has the run, no error here may be the end."""
        while True:
            try:
                self._keep_in_contact()
                return
            except Exception as error:  # The door of this thread: a bug must not look like a node without an answer.
                sys.excepthook(type(error), error, error.__traceback__)
                text = f"{self.node_id}: {type(error).__name__}: {error}"
                self.problem = MachineError(text, is_final=True)
                if not self.is_reached:
                    self.refusal = text
            self.contact_lost_at = self.contact_lost_at or time.time()
            self._on_change()
            if self._is_closing.wait(_LONGEST_PAUSE_S):
                return

    def _keep_in_contact(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._is_over():
            try:
                link = self._transport.connect()
            except MachineError as error:
                self.problem = error
                # Of a node that has the run already, nothing is final: it is out of reach until a person helps.
                if error.is_final and self.hello is None and not self.is_reached:
                    self.refusal = error.message
            else:
                known, is_mute = self._length + len(self._accepted), False
                if self._talk(link):
                    # A link that brought nothing will hardly bring more at once: no storm of them.
                    pause_s = _FIRST_PAUSE_S if self._count_kept() > known else min(pause_s, _IDLE_PAUSE_S)
                    self.mute_link_count = 0
                else:
                    self.problem = self.problem or MachineError(
                        f"{self.node_id}: its agent ended before it said anything"
                    )
                    is_mute = True
                self._note_last_words(link)
                link.close()
                # One that somebody killed, or that the network took, may well speak the next time.
                if is_mute and link.exit_code is not None:
                    self.mute_link_count += 1
            if self._is_over():
                break
            self._note_lost()
            self._keep_limit()
            self._on_change()
            # Apart from each other: a hundred nodes that went together would come back in one moment.
            self._is_closing.wait(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 (no secret)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        self._on_change()

    def _note_last_words(self, link: Link) -> None:
        """What the other end printed before it ended, where nothing better is known."""
        words = link.last_words.splitlines()
        if words and self.problem is None:
            self.problem = MachineError(f"{self.node_id}: the link ended: {words[-1][:_WORDS_LIMIT]}")

    def _note_lost(self) -> None:
        self.contact_lost_at = self.contact_lost_at or time.time()
        why = self.problem.message if self.problem else f"{self.node_id}: the link ended"
        lost = contact.LostContact(lost_at=self.contact_lost_at, problem=why)
        if self._contact_file is not None and lost != self._told_lost:
            contact.write_lost(self._contact_file, lost)
            self._told_lost, self._is_told_full = lost, False

    def _keep_limit(self) -> None:
        """Waits no longer than the person wanted to; what runs on the node goes on, and is told of as lost."""
        since, limit_s = self.contact_lost_at, self._contact_limit_s
        if limit_s is not None and self.is_reached and since is not None and time.time() - since > limit_s:
            self.is_removed = True
            self._give_up(f"was out of reach for more than {limit_s:g} s ({settings.CONTACT_LIMIT_S})")

    def _note_found(self) -> None:
        self.contact_lost_at = self.problem = self._told_lost = None
        self._is_told_full = False
        if self._contact_file is not None:
            contact.write_found(self._contact_file)

    def _note_disk(self, *, is_full: bool) -> None:
        """A node without room cannot tell how far it is: that much it can still say."""
        if is_full != self._is_told_full and self._contact_file is not None:
            if is_full:
                contact.write_full(self._contact_file)
            else:
                contact.write_found(self._contact_file)
        self._is_told_full = is_full

    def _is_over(self) -> bool:
        """Whether nothing more is to be said to the node."""
        return self.is_removed or self._is_closing.is_set()

    def _count_kept(self) -> int:
        """A number that is larger after a link that brought something."""
        return self._length + len(self._accepted) + (self.intake.taken_bytes if self.intake is not None else 0)

    def _talk(self, link: Link) -> bool:
        """Serves one link to its end; says whether the node had answered at all."""
        has_answered = False
        link.silence_limit_s = _SILENCE_LIMIT_S if self.plan.is_remote else None
        outbox = Outbox(link, name=self.node_id, pings=self.plan.is_remote)
        with self._guard:
            self._link = link
        if self._is_closing.is_set():
            link.close()
        try:
            while not self.is_removed and (frame := read_frame(link.incoming)) is not None:
                if frame.kind is FrameKind.HELLO:
                    self._greet(outbox, link, frame.body)
                    has_answered = True
                elif frame.kind in _KEPT:
                    self._keep(frame, outbox)
                else:
                    self._take(frame, outbox)
                if frame.kind is not FrameKind.DATA or frame.stream == EVENTS_STREAM:
                    self._on_change()
        except Exception as error:  # The door of this thread; and what came from a node is anybody's.
            self.problem = MachineError(f"{self.node_id}: the link broke: {error}")
        finally:
            with self._guard:
                self._link = self._outbox = None
            outbox.close()
            if self.intake is not None:
                self.intake.close()
        return has_answered

    def _greet(self, outbox: Outbox, link: Link, hello: dict[str, Any]) -> None:
        """Tells a fresh agent everything it may not know: the plan, where the events go on, every open order."""
        self.hello = hello
        self.link_notes, self.address = link.notes, link.address or self.address
        self._note_found()
        if not hello["has_plan"] and self.is_reached:
            # The node's folder is gone. A second plan would start the run a second time.
            self.is_removed = True
            self._give_up("lost what it kept of the run: its folder is gone (rebooted, wiped)")
            return
        if self.intake is not None:
            self.intake.begin(outbox.post)
        plan = self.plan._replace(address=self.address or self.plan.address)
        outbox.post(json_frame(FrameKind.PLAN, plan.to_record()))
        outbox.post(Frame(FrameKind.WANT, b"{}", stream=EVENTS_STREAM, offset=self._length))
        if self.shipment is not None and not self.shipment.is_complete:
            for question in self.shipment.questions():
                outbox.post(question)
        with self._guard:
            self._outbox = outbox
            for further in self.further_shipments.values():
                if not further.is_complete:
                    outbox.ship(iter(further.questions()))
            for name, order in self._orders.items():
                if name not in self._accepted:
                    outbox.post(json_frame(FrameKind.ORDER, order))

    def _give_up(self, loss: str) -> None:
        """Takes it that the node has lost the run; once it was let go, it is to have nothing."""
        if ORDER_NAMES[Verb.QUIT] not in self._orders:
            self.problem = MachineError(f"{self.node_id}: the node {loss}")
            self.state.give_up(loss)

    def _take(self, frame: Frame, outbox: Outbox) -> None:
        if frame.kind is FrameKind.ACCEPTED:
            self._accepted.add(str(frame.body["order"]))
            self.has_left_containers = self.has_left_containers or bool(frame.body.get("has_containers"))
            self.is_removed = self.is_removed or bool(frame.body.get("is_removed"))
        elif frame.kind is FrameKind.PROBLEM and frame.body.get("is_loss"):
            self._give_up(f"lost what it kept of the run: {frame.body['message']}")
        elif frame.kind is FrameKind.PROBLEM:
            self.refusal = str(frame.body["message"])
            self.problem = MachineError(f"{self.node_id}: {self.refusal}")
        elif frame.kind is FrameKind.PONG:
            outbox.answered(frame.body)
            self._measure_clock(frame.body)
            self._note_disk(is_full=frame.body.get("is_disk_full") is True)
        elif frame.kind is FrameKind.LACK:
            of = frame.body.get("of")
            shipment = self.shipment if of is None else self.further_shipments.get(str(of))
            if shipment is not None:
                outbox.ship(shipment.take_answer(frame.body))

    def _measure_clock(self, pong: Mapping[str, Any]) -> None:
        better = clock.measure(pong, self.clock)
        if better is not None and better != self.clock and self._clock_file is not None:
            clock.write(self._clock_file, better)
        self.clock = better

    def _keep(self, frame: Frame, outbox: Outbox) -> None:
        """Keeps what came. While the disk here is full the node waits, its bytes with it; nothing is dropped."""
        while True:
            try:
                if frame.kind is FrameKind.DATA and frame.stream == EVENTS_STREAM:
                    self._take_events(frame)
                elif self.intake is not None:
                    self.intake.take(frame)
                    outbox.acknowledge(self.intake.taken_bytes)
                break
            except OSError as error:
                if error.errno not in DISK_FULL or self._is_closing.is_set():
                    raise
                self._is_closing.wait(DISK_PAUSE_S)

    def _take_events(self, frame: Frame) -> None:
        """Appends what is new: the journal's length is the offset, so a repeated frame adds nothing."""
        if frame.offset > self._length:
            raise BrokenFrame(f"events go on at {self._length}, not at {frame.offset}")
        content = frame.payload[self._length - frame.offset :]
        if not content:
            return
        descriptor = os.open(self._journal, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.lseek(descriptor, self._length, os.SEEK_SET)
            publish.write_all(descriptor, content)
        finally:
            os.close(descriptor)
        self._length += len(content)
        # A long event comes in several frames.
        for record, end in publish.iterate_records(self._journal, offset=self._parsed):
            self.state.apply(record)
            self._parsed = end
