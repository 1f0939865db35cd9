"""In the style of distributed-pytorch-with-horovod.ipynb."""

import os

from azureml.core import Environment, Experiment, ScriptRunConfig, Workspace
from azureml.core.runconfig import MpiConfiguration

ws = Workspace.from_config()
with_mpi = Environment("with-mpi")
with_mpi.python.user_managed_dependencies = True
with_mpi.python.interpreter_path = os.environ["MPI_PYTHON"]
src = ScriptRunConfig(
    source_directory=".",
    script="horovod_like.py",
    environment=with_mpi,
    arguments=["--epochs", 2],
    distributed_job_config=MpiConfiguration(process_count_per_node=1, node_count=2),
)
run = Experiment(ws, "pytorch-distr-hvd").submit(src)
run.wait_for_completion(show_output=True)
print("metrics", run.get_metrics())
