"""What a server may have already of what is sent a second time, after a kill or an answer that never came.

A server with a database keeps equal values once. One over plain files (`--backend-store-uri ./mlruns`) keeps every
value that it is sent, so it is asked first; such a one gives a whole history at once, whatever length is asked for.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Any

from runner.interop.mirror_batches import Batch
from runner.interop.mlflow_rest import MlflowServer, Refused

_Value = tuple[int, int, str]


class SentBefore:
    """The values that a server over plain files has; for as long as nothing else is sent to it."""

    def __init__(self, server: MlflowServer) -> None:
        self._server = server
        self._known: dict[tuple[str, str], Counter[_Value]] = {}
        self._keeps_equal_ones_once = False

    def left_out(self, batch: Batch, remote_id: str) -> Batch:
        """`batch` without the values that the run `remote_id` has there. Raises ServerAway."""
        metrics = []
        for metric in batch.metrics:
            known = self._values(remote_id, metric["key"])
            if known[_value(metric)] > 0:
                known[_value(metric)] -= 1
            else:
                metrics.append(metric)
        return dataclasses.replace(batch, metrics=metrics)

    def _values(self, remote_id: str, name: str) -> Counter[_Value]:
        found = self._known.get((remote_id, name))
        if found is None:
            found = Counter() if self._keeps_equal_ones_once else self._fetch_values(remote_id, name)
            self._known[remote_id, name] = found
        return found

    def _fetch_values(self, remote_id: str, name: str) -> Counter[_Value]:
        try:
            answer = self._server.get("metrics/get-history", run_id=remote_id, metric_key=name, max_results="1")
        except Refused:  # A metric that it has never heard of.
            return Counter()
        if answer.get("next_page_token"):
            self._keeps_equal_ones_once = True
            return Counter()
        return Counter(_value(metric) for metric in answer.get("metrics", ()))


def _value(metric: Mapping[str, Any]) -> _Value:
    """(time, step, value) as both sides spell it; 0 and the like are left out of answers."""
    return int(metric.get("timestamp", 0)), int(metric.get("step", 0)), str(float(metric.get("value", 0)))
