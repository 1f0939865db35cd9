"""In the style of train-hyperparameter-tune-deploy-with-sklearn.ipynb."""

import sys

from azureml.core import Experiment, ScriptRunConfig, Workspace
from azureml.train.hyperdrive import (
    BanditPolicy,
    BayesianParameterSampling,
    HyperDriveConfig,
    PrimaryMetricGoal,
    RandomParameterSampling,
    choice,
    uniform,
)
from azureml.widgets import RunDetails

ws = Workspace.from_config()
experiment = Experiment(workspace=ws, name="train_iris")
src = ScriptRunConfig(source_directory=".", script="train_iris.py", arguments=["--kernel", "linear", "--penalty", 1.0])
space = {"--kernel": choice("linear", "rbf", "poly", "sigmoid"), "--penalty": uniform(0.5, 1.5)}
is_bayesian = "bayesian" in sys.argv
hyperdrive_config = HyperDriveConfig(
    run_config=src,
    hyperparameter_sampling=BayesianParameterSampling(space) if is_bayesian else RandomParameterSampling(space),
    policy=None if is_bayesian else BanditPolicy(evaluation_interval=2, slack_factor=0.5),
    primary_metric_name="Accuracy",
    primary_metric_goal=PrimaryMetricGoal.MAXIMIZE,
    max_total_runs=4,
    max_concurrent_runs=2,
)
hyperdrive_run = experiment.submit(hyperdrive_config)
RunDetails(hyperdrive_run).show()
hyperdrive_run.wait_for_completion(show_output=True)
assert hyperdrive_run.get_status() == "Completed"
best_run = hyperdrive_run.get_best_run_by_primary_metric()
print(best_run.get_details()["runDefinition"]["arguments"])
scores = [child.get_metrics()["Accuracy"] for child in hyperdrive_run.get_children()]
assert len(scores) == 4 and best_run.get_metrics()["Accuracy"] == max(scores)
print(best_run.get_file_names())
model = best_run.register_model(model_name="sklearn-iris", model_path="outputs/model.joblib")
print("Registered", model.id)
