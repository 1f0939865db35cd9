"""What `runner status` says of a sweep: how far its trials are, and which one is best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from runner.history.run_kind import SWEEP_KEY
from runner.history.run_record import RunRecord
from runner.logview.terminal_text import harmless
from sidecar.contract.layout import RunLayout, WorkspaceLayout


def describe(layout: RunLayout, record: RunRecord) -> Iterator[str]:
    """Two lines for a sweep, none for any other run."""
    if SWEEP_KEY not in record.extra:
        return
    from runner.sweeps.definition import SweepDefinition
    from runner.sweeps.trials import TrialReader, status_of

    workspace = WorkspaceLayout(layout.root.parents[1])
    definition = SweepDefinition.from_record(record.extra[SWEEP_KEY])
    trials = TrialReader(workspace, record.run_id, definition.metric).read()
    counts = Counter(status_of(workspace, trial.run_id).value for trial in trials)
    told = ", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "none yet"
    yield f"trials     {len(trials)} of at most {definition.max_total_runs}: {told}"
    ranked = [(trial.best(maximizes=definition.maximizes), trial) for trial in trials]
    known = [(value, trial) for value, trial in ranked if value is not None]
    if known:
        choose = max if definition.maximizes else min
        value, trial = choose(known, key=lambda pair: pair[0])
        given = " ".join(f"{name}={given}" for name, given in trial.parameters.items())
        text = f"{definition.metric} {value:g} of {trial.run_id}: {given}"
        yield f"best       {harmless(text.encode('utf-8', 'replace'), is_coloured=False)}"
