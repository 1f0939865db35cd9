"""In the style of manage-runs.ipynb: how runs begin, are found, tagged, canceled, failed, and have children."""

import time
import zipfile

from azureml.core import Experiment, Run, ScriptRunConfig, Workspace
from azureml.exceptions import ActivityFailedException

ws = Workspace.from_config()
exp = Experiment(workspace=ws, name="explore-runs")

notebook_run = exp.start_logging()
notebook_run.log(name="message", value="Hello from run!")
print(notebook_run.get_status())
notebook_run.complete()
print(notebook_run.get_status())

with exp.start_logging() as notebook_run:
    notebook_run.log(name="message", value="Hello from run!")
    print("Is it still running?", notebook_run.get_status())
print("Has it completed?", notebook_run.get_status())

run_config = ScriptRunConfig(source_directory=".", script="hello.py")
local_script_run = exp.submit(run_config)
local_script_run.wait_for_completion()
print(local_script_run.get_metrics(), local_script_run.get_details()["status"])
assert "azureml-logs/70_driver_log.txt" in local_script_run.get_details_with_logs()["logFiles"]
with zipfile.ZipFile(local_script_run.restore_snapshot(path="snapshots")) as snapshot:
    assert "hello.py" in snapshot.namelist()

# Tags can change, properties cannot.
local_script_run.tag("developer", "ada")
local_script_run.tag("quality", 3)
local_script_run.add_properties({"author": "azureml-user"})
try:
    local_script_run.add_properties({"author": "different-user"})
except Exception as error:
    print("As expected:", type(error).__name__, error.message)
print(local_script_run.get_tags(), local_script_run.get_properties()["author"])

# Cancel and fail.
local_script_run = exp.submit(ScriptRunConfig(source_directory=".", script="hello_with_delay.py"))
while local_script_run.get_status() != "Running":
    time.sleep(0.1)
local_script_run.cancel()
local_script_run.wait_for_completion(wait_post_processing=True)
print("Did the run cancel?", local_script_run.get_status())
failing = exp.start_logging(snapshot_directory=None)
failing.fail(error_details="Something went wrong")
try:
    failing.wait_for_completion()
except ActivityFailedException as error:
    print("Did it fail?", "Something went wrong" in str(error))

# Children, made here and in a job.
with exp.start_logging(snapshot_directory=None) as parent_run:
    for count in range(2):
        with parent_run.child_run() as child:
            child.log(name="Hello from child run", value=count)
job = exp.submit(ScriptRunConfig(source_directory=".", script="hello_with_children.py"))
job.wait_for_completion()
for parent, wanted in ((parent_run, 2), (job, 3)):
    children = list(parent.get_children())
    assert len(children) == wanted and {child.get_status() for child in children} == {"Completed"}
    assert sorted(child.get_metrics()["Hello from child run"] for child in children) == [*range(wanted)]
    assert children[0].parent.id == parent.id

# Finding runs again.
tagged = [run.id for run in exp.get_runs(tags="quality")]
assert tagged == [run.id for run in Run.list(exp, tags={"quality": "3"}, properties={"author": "azureml-user"})]
assert len(tagged) == 1 and Run(exp, tagged[0]).id == Run.get(ws, tagged[0]).id
canceled = [run.id for run in Run.list(exp, status="Canceled", type="azureml.scriptrun")]
print("Found again:", len(tagged), len(canceled), len([*exp.get_runs()]), len([*exp.get_runs(include_children=True)]))
