"""RunDetails: what it shows of a run, in a notebook and outside one."""

from __future__ import annotations

import pytest

from runner.sdk import Experiment, ScriptRunConfig
from runner.sdk.run_widget import RunDetails


def test_outside_a_notebook_it_prints(
    experiment: Experiment, project: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """The status, the metrics and the end of the user's log."""
    run = experiment.submit(ScriptRunConfig(str(project), "train.py", ["log"]))
    run.wait_for_completion()
    RunDetails(run).show()
    shown = capsys.readouterr().out
    assert f"RunId: {run.id}" in shown and "Status: Completed" in shown
    assert "Metric loss: 0.5 (last of 2)" in shown and "finished" in shown


def test_children_and_errors_are_shown_escaped(experiment: Experiment) -> None:
    """What a run says of itself cannot become markup."""
    run = experiment.start_logging(snapshot_directory=None, display_name="<b>bold</b>")
    child = run.child_run()
    page = RunDetails(run).get_widget_html()
    assert "<b>bold" not in page and "&lt;b&gt;bold" in page and child.id in page
