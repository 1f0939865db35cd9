"""In the style of train-on-remote-vm.ipynb: a machine with a key, and one with a password, which a sweep uses."""

import os

from azureml.core import Environment, Experiment, ScriptRunConfig, Workspace
from azureml.core.compute import ComputeTarget, RemoteCompute
from azureml.core.compute_target import ComputeTargetException
from azureml.train.hyperdrive import GridParameterSampling, HyperDriveConfig, PrimaryMetricGoal, choice
from azureml.widgets import RunDetails

ws = Workspace.from_config()
compute_target_name = "cpudsvm"
try:
    attached_dsvm_compute = RemoteCompute(workspace=ws, name=compute_target_name)
    print("found existing:", attached_dsvm_compute.name)
except ComputeTargetException:
    attach_config = RemoteCompute.attach_configuration(
        address=os.environ["ADDRESS"], ssh_port=22, username="lab", private_key_file="~/.ssh/id_ed25519"
    )
    attached_dsvm_compute = ComputeTarget.attach(ws, compute_target_name, attach_config)
    attached_dsvm_compute.wait_for_completion(show_output=True)

conda_env = Environment("conda-env")
conda_env.python.user_managed_dependencies = True
src = ScriptRunConfig(
    source_directory=".", script="train.py", compute_target=attached_dsvm_compute, environment=conda_env
)
exp = Experiment(workspace=ws, name="train-on-remote-vm")
run = exp.submit(config=src)
RunDetails(run).show()
run.wait_for_completion(show_output=True)
print("metrics", run.get_metrics(), "model", run.register_model("remote", "outputs/model.txt").id)

with_password = RemoteCompute.attach_configuration(
    address=os.environ["ADDRESS"], username="guest", password=os.environ["PASSWORD"]
)
src.run_config.target = ComputeTarget.attach(ws, "by-password", with_password)
sweep = exp.submit(
    HyperDriveConfig(
        run_config=src,
        hyperparameter_sampling=GridParameterSampling({"alpha": choice(0.1, 0.3)}),
        primary_metric_name="mse",
        primary_metric_goal=PrimaryMetricGoal.MINIMIZE,
        max_total_runs=2,
        max_concurrent_runs=1,
    )
)
sweep.wait_for_completion(show_output=True)
best = sweep.get_best_run_by_primary_metric()
print("best", best.get_metrics()["alpha"], best.get_details()["target"])
