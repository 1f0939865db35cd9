"""In the style of the notebooks for PyTorch with DistributedDataParallel, and for TensorFlow's parameter servers."""

from azureml.core import Experiment, ScriptRunConfig, Workspace
from azureml.core.runconfig import PyTorchConfiguration, TensorflowConfiguration

ws = Workspace.from_config()
exp = Experiment(ws, "pytorch-distr")
src = ScriptRunConfig(
    source_directory=".",
    script="train.py",
    distributed_job_config=PyTorchConfiguration(process_count=4, node_count=2),
)
run = exp.submit(src)
run.wait_for_completion(show_output=True)  # this provides a verbose log

src = ScriptRunConfig(
    source_directory=".",
    script="tf_mnist_replica.py",
    distributed_job_config=TensorflowConfiguration(worker_count=2, parameter_server_count=1),
)
run = exp.submit(src)
run.wait_for_completion(show_output=True)
print("metrics", run.get_metrics())
