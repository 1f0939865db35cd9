"""In the style of train-on-amlcompute.ipynb: provision a cluster, run on it, look at it, scale it."""

from azureml.core import Environment, Experiment, ScriptRunConfig, Workspace
from azureml.core.compute import AmlCompute, ComputeTarget
from azureml.core.compute_target import ComputeTargetException
from azureml.core.runconfig import DockerConfiguration, PyTorchConfiguration
from azureml.telemetry import set_diagnostics_collection
from azureml.widgets import RunDetails

set_diagnostics_collection(send_diagnostics=True)
ws = Workspace.from_config()
assert AmlCompute.supported_vmsizes(workspace=ws)
try:
    cpu_cluster = ComputeTarget(workspace=ws, name="cpu-cluster")
    print("Found existing cluster, use it.")
except ComputeTargetException:
    compute_config = AmlCompute.provisioning_configuration(vm_size="STANDARD_D2_V2", max_nodes=4)
    cpu_cluster = ComputeTarget.create(ws, "cpu-cluster", compute_config)
cpu_cluster.wait_for_completion(show_output=True)
print(cpu_cluster.get_status().serialize()["provisioningState"], ws.compute_targets["cpu-cluster"].type)

myenv = Environment("myenv")
myenv.python.user_managed_dependencies = True
src = ScriptRunConfig(
    source_directory=".",
    script="train.py",
    compute_target=cpu_cluster,
    environment=myenv,
    distributed_job_config=PyTorchConfiguration(node_count=2),
    docker_runtime_config=DockerConfiguration(use_docker=False),
)
src.run_config.target = cpu_cluster
run = Experiment(workspace=ws, name="train-on-amlcompute").submit(config=src)
RunDetails(run).show()
run.wait_for_completion(show_output=True)
print("target", run.get_details()["target"], run.get_metrics())
assert run.get_environment().name == "myenv"
cpu_cluster.list_nodes()
cpu_cluster.update(min_nodes=1)
cpu_cluster.update(max_nodes=10, idle_seconds_before_scaledown=600)
assert cpu_cluster.get_status().scale_settings.maximum_node_count == 10
cpu_cluster.delete()
assert "cpu-cluster" not in ws.compute_targets
