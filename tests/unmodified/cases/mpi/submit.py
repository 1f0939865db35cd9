"""In the style of distributed-pytorch-with-horovod.ipynb."""

from azureml.core import Experiment, ScriptRunConfig, Workspace
from azureml.core.runconfig import MpiConfiguration

ws = Workspace.from_config()
src = ScriptRunConfig(
    source_directory=".",
    script="horovod_like.py",
    arguments=["--epochs", 2],
    distributed_job_config=MpiConfiguration(process_count_per_node=1, node_count=2),
)
run = Experiment(ws, "pytorch-distr-hvd").submit(src)
run.wait_for_completion(show_output=True)
print("metrics", run.get_metrics())
