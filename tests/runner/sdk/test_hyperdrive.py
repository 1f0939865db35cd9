"""Sweeps through v1's objects, with real trials."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from runner.cli import sweep_status
from runner.history.run_record import read_record
from runner.sdk import Experiment, ScriptRunConfig
from runner.sdk.exceptions import UserErrorException
from runner.sdk.hyperdrive import (
    BanditPolicy,
    GridParameterSampling,
    HyperDriveConfig,
    HyperDriveRun,
    PrimaryMetricGoal,
    RandomParameterSampling,
    choice,
    uniform,
)
from runner.sdk.run_widget import RunDetails
from runner.sweeps.trials import note_trial
from sidecar.contract import lock

TRIAL = """\
import argparse, time
from azureml.core import Run
parser = argparse.ArgumentParser()
parser.add_argument("--rate", type=float)
parser.add_argument("--epochs", type=int, default=1)
given = parser.parse_args()
run = Run.get_context()
run.log("accuracy", given.rate)
while given.rate < 0:
    time.sleep(0.05)
    run.log("accuracy", given.rate)
if given.rate == 0.25:
    raise ValueError("unlucky")
"""


@pytest.fixture
def config(project: Path) -> ScriptRunConfig:
    """A script whose accuracy is its rate; one below zero never ends by itself."""
    (project / "trial.py").write_text(TRIAL)
    return ScriptRunConfig(project, "trial.py", ["--epochs", 2, "--rate", 9])


def submit(experiment: Experiment, config: ScriptRunConfig, rates: list[float], **more: object) -> HyperDriveRun:
    sweep = HyperDriveConfig(
        GridParameterSampling({"--rate": choice(rates)}),
        primary_metric_name="accuracy",
        primary_metric_goal=PrimaryMetricGoal.MAXIMIZE,
        max_total_runs=10,
        run_config=config,
        **more,  # type: ignore[arg-type]  # as each test needs
    )
    run = experiment.submit(sweep, tags={"a": "1"})
    assert isinstance(run, HyperDriveRun)
    return run


def test_a_grid_is_tried_and_the_best_is_found(experiment: Experiment, config: ScriptRunConfig) -> None:
    """One child a combination; a failed one does not fail the sweep; the sampled value takes an argument's place."""
    run = submit(experiment, config, [0.5, 0.25, 0.75], max_concurrent_runs=2)
    assert run.wait_for_completion()["status"] == "Completed"
    best = run.get_best_run_by_primary_metric()
    assert best is not None and best.get_metrics()["accuracy"] == 0.75
    assert best.get_details()["runDefinition"]["arguments"] == ["--epochs", "2", "--rate", "0.75"]
    ranked = run.get_children_sorted_by_primary_metric()
    assert [entry["best_primary_metric"] for entry in ranked] == [0.75, 0.5, 0.25]
    assert {child.get_status() for child in run.get_children()} == {"Completed", "Failed"}
    assert run.get_hyperparameters()[best.id] == '{"--rate": 0.75}'
    assert "Scheduling job, id='" in run.get_diagnostics()
    said = [*sweep_status.describe(run.layout, read_record(run.layout))]
    assert said == [
        "trials     3 of at most 3: 2 Completed, 1 Failed",
        f"best       accuracy 0.75 of {best.id}: --rate=0.75",
    ]
    assert "Completed, 0.75, {&quot;--rate&quot;: 0.75}" in RunDetails(run).get_widget_html()
    assert [found.id for found in experiment.get_runs(type="hyperdrive")] == [run.id]
    parent = best.parent
    assert parent is not None and parent.id == run.id and (run.type, run.tags) == ("hyperdrive", {"a": "1"})


def test_a_trial_that_is_about_to_start(experiment: Experiment, config: ScriptRunConfig) -> None:
    """Between its being noted and its folder it is NotStarted, for whoever looks then."""
    run = submit(experiment, config, [0.5])
    run.wait_for_completion()
    noted = note_trial(experiment.workspace.layout, read_record(run.layout), 1, {"--rate": 0.6})
    assert [entry["status"] for entry in run.get_children_sorted_by_primary_metric()] == ["Completed", "NotStarted"]
    assert f"Child {noted}: NotStarted" in RunDetails(run).get_widget_text()
    assert next(sweep_status.describe(run.layout, read_record(run.layout))).endswith("1 Completed, 1 NotStarted")


def test_no_more_run_at_once_than_allowed(experiment: Experiment, config: ScriptRunConfig) -> None:
    """The second trial starts when the first has ended; all children have one snapshot."""
    run = submit(experiment, config, [0.5, 0.75], max_concurrent_runs=1)
    run.wait_for_completion()
    second, first = (child.get_details() for child in run.get_children())
    assert first["endTimeUtc"] <= second["startTimeUtc"]
    assert {child.get_snapshot_id() for child in run.get_children()} == {run.get_snapshot_id()}


def test_a_policy_stops_the_poor(experiment: Experiment, config: ScriptRunConfig) -> None:
    """A trial that would never end is canceled because another one is better."""
    run = submit(experiment, config, [0.75, -1.0], policy=BanditPolicy(slack_amount=0.1))
    assert run.wait_for_completion()["status"] == "Completed"
    status = {child.get_tags()["hyperparameters"]: child.get_status() for child in run.get_children()}
    assert status == {'{"--rate": 0.75}': "Completed", '{"--rate": -1.0}': "Canceled"}
    best = run.get_best_run_by_primary_metric(include_canceled=False)
    assert best is not None and best.get_metrics()["accuracy"] == 0.75


def test_canceling_the_sweep_cancels_its_trials(experiment: Experiment, config: ScriptRunConfig) -> None:
    """And nothing is started any more."""
    from tests.runner.sdk.conftest import wait_until

    run = submit(experiment, config, [-1.0, -2.0, -3.0], max_concurrent_runs=2)
    wait_until(lambda: sum(child.get_status() == "Running" for child in run.get_children()) == 2)
    run.cancel()
    assert run.wait_for_completion(wait_post_processing=True)["status"] == "Canceled"
    assert [child.get_status() for child in run.get_children()] == ["Canceled", "Canceled"]


def test_a_sweep_whose_time_is_over_ends(experiment: Experiment, config: ScriptRunConfig) -> None:
    """What still runs is canceled; what was found by then counts."""
    run = submit(experiment, config, [0.75, -1.0], max_duration_minutes=0.05)
    assert run.wait_for_completion()["status"] == "Completed"
    status = {child.get_tags()["hyperparameters"]: child.get_status() for child in run.get_children()}
    assert status.get('{"--rate": -1.0}', "Canceled") == "Canceled"


def test_a_killed_sweep_goes_on(experiment: Experiment, config: ScriptRunConfig) -> None:
    """Whoever waits for it has it resumed, and no trial is started twice."""
    run = submit(experiment, config, [0.5, 0.75, 0.6], max_concurrent_runs=1)
    holder = lock.holder(run.layout.controller_lock)
    assert holder is not None
    os.kill(holder.pid, signal.SIGKILL)
    assert run.wait_for_completion()["status"] == "Completed"
    assert sorted(child.get_metrics()["accuracy"] for child in run.get_children()) == [0.5, 0.6, 0.75]


def test_all_trials_failed(experiment: Experiment, config: ScriptRunConfig) -> None:
    """Then the sweep has failed, and says which trial did first."""
    run = submit(experiment, config, [0.25])
    details = run.wait_for_completion(raise_on_error=False)
    assert details["status"] == "Failed" and "all 1 trials failed" in str(details["error"])


def test_what_cannot_be_meant_is_refused(config: ScriptRunConfig) -> None:
    """At the place where it was written."""
    sampling = RandomParameterSampling({"rate": uniform(0, 1)}, seed=1)
    for wrong in ({"max_total_runs": 0}, {"run_config": None}, {"primary_metric_goal": "MAXIMIZE"}):
        given = {
            "primary_metric_name": "accuracy",
            "primary_metric_goal": PrimaryMetricGoal.MAXIMIZE,
            "max_total_runs": 2,
            "run_config": config,
            **wrong,
        }
        with pytest.raises(UserErrorException):
            HyperDriveConfig(sampling, **given)  # type: ignore[arg-type]  # that is the test
    with pytest.raises(UserErrorException, match="Exactly one of slack"):
        BanditPolicy()
