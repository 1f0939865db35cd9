"""In the style of export-run-history-to-tensorboard.ipynb."""

import os

from azureml.core import Experiment, Workspace
from azureml.tensorboard import Tensorboard
from azureml.tensorboard.export import export_to_tensorboard

ws = Workspace.from_config()
exp = Experiment(ws, "export-to-tensorboard")
root_run = exp.start_logging(snapshot_directory=None)
for alpha in (0.1, 0.2):
    with root_run.child_run("alpha" + str(alpha)) as run:
        run.log("alpha", alpha)
        for step in range(3):
            run.log("rmse", alpha / (step + 1))
root_run.complete()
os.makedirs("exported", exist_ok=True)
export_to_tensorboard(root_run, "exported")
tb = Tensorboard([], local_root="exported", port=0)
print("address", tb.start())
tb.stop()
