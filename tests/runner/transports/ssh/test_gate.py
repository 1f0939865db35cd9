"""The gate smooths a rush of connections and never blocks one for good."""

from __future__ import annotations

import contextlib
import threading
import time

from runner.transports.ssh.gate import Gate


def test_only_so_many_pass_at_once() -> None:
    """Twelve threads at a gate of three: never more than three are inside."""
    gate, inside, most = Gate(width=3, patience_s=60), [0], [0]
    guard = threading.Lock()

    def pass_through() -> None:
        with gate.passage():
            with guard:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            with guard:
                inside[0] -= 1

    threads = [threading.Thread(target=pass_through) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert 1 <= most[0] <= 3


def test_whoever_waited_long_enough_goes_anyway() -> None:
    """One that stays inside holds another up for the gate's patience and no longer, and slots come back."""
    gate = Gate(width=1, patience_s=0.05)
    with contextlib.ExitStack() as first:
        first.enter_context(gate.passage())
        started = time.monotonic()
        with gate.passage():
            assert time.monotonic() - started >= 0.05
    patient = Gate(width=1, patience_s=60)
    for _ in range(3):
        with patient.passage():
            pass
