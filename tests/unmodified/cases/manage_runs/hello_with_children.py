"""In the style of manage-runs/hello_with_children.py."""

from azureml.core import Run

run = Run.get_context()
child_runs = run.create_children(count=3)
for count, child in enumerate(child_runs):
    child.log(name="Hello from child run", value=count)
    child.complete()
