"""In the style of manage-runs/hello.py."""

from azureml.core import Run

submitted_run = Run.get_context()
submitted_run.log("message", "Hello from run!")
