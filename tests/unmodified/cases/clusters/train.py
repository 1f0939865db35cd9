"""In the style of train-on-amlcompute/train.py."""

from azureml.core.run import Run

run = Run.get_context()
run.log("alpha", 0.4)
print("workspace", run.experiment.workspace.name, "environment", run.get_environment().name)
