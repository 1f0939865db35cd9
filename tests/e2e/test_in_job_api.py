"""What a job says of its run, from its first call to what a person reads."""

from __future__ import annotations

import json
import os
import signal

from runner.history.run_record import read_record
from runner.history.status import RunStatus
from runner.sdk import Workspace
from tests.doubles.command import Command
from tests.doubles.node_lab import wait_until

SCRIPT = """
import io, os
from azureml.core import Run
run = Run.get_context()
assert run.tags == {"team": "vision"} and run.experiment.name == "say"
run.log("loss", 0.5); run.log_list("l", [1, float("nan")]); run.log_table("t", {"x": [1, 2]})
run.log_confusion_matrix("cm", {"schema_type": "confusion_matrix", "schema_version": "1.0.0", "data": {}})
run.tag("quality", "good"); run.add_properties({"author": "ada"}); run.display_name = "first"
run.upload_file("model/weights.bin", io.BytesIO(b"w")); run.upload_file("outputs/up.txt", io.StringIO("u"))
with run.child_run("fold") as child:
    child.log("loss", 1); child.upload_file("outputs/c.txt", io.StringIO("c"))
run.create_children(2)
"""
RANKS = """
import os, threading
from azureml.core import Run
run = Run.get_context()
def work():
    for number in range(200): run.log("x", number, step=number)
threads = [threading.Thread(target=work) for _ in range(2)]
children = []
for _ in range(2):
    children.append(os.fork())
    if children[-1] == 0:
        work(); os._exit(0)
for thread in threads: thread.start()
for thread in threads: thread.join()
for child in children: os.waitpid(child, 0)
run.add_properties({"same": "for all"})
"""
KILLED = "import os\nfrom azureml.core import Run\nrun = Run.get_context()\nrun.log('x', 1)\nos.kill(os.getpid(), 9)"


def test_everything_that_a_job_says(command: Command) -> None:
    """Metrics in their shapes, tags, properties, names, files and child runs are there when the run has ended."""
    command.write("say.py", SCRIPT)
    command.write("say.yml", "script: say.py\ntags: {team: vision}\n")
    done = command.run("submit", "say.yml", "--show-output")
    assert done.returncode == 0, done.stdout + done.stderr
    workspace = Workspace(command.workspace.root)
    run_id = json.loads(command.run("history", "last", "-o", "json").stdout)["run_id"]
    run = workspace.get_run(run_id)
    assert repr(run.get_metrics()["l"]) == "[1, nan]" and run.get_metrics("t") == {"t": {"x": [1, 2]}}
    assert run.get_metrics("cm", populate=True)["cm"]["schema_type"] == "confusion_matrix"
    assert run.get_tags() == {"team": "vision", "quality": "good"} and run.get_properties()["author"] == "ada"
    assert run.display_name == "first" and (run.layout.outputs / "up.txt").read_text() == "u"
    below = run.get_metrics(recursive=True, name="loss")
    (child_id,) = set(below) - {run_id}
    assert below == {run_id: {"loss": 0.5}, child_id: {"loss": 1}}
    record = read_record(command.workspace.run(child_id))
    assert (record.parent_run_id, record.name, record.status) == (run_id, "fold", RunStatus.COMPLETED)
    assert (command.workspace.run(child_id).outputs / "c.txt").read_text() == "c"
    assert len(command.runs()) == 4


def test_ranks_threads_and_forks_at_once(command: Command) -> None:
    """Nothing is lost or torn, and the points say which rank logged them."""
    command.write("many.py", RANKS)
    command.write(
        "many.yml", "script: many.py\ndistributed_job_config: {type: PyTorch, process_count: 4, node_count: 2}\n"
    )
    done = command.run("submit", "many.yml", "--show-output")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = command.run("metrics", "last", "x", "-o", "csv").stdout.splitlines()[1:]
    by_process = [line.split(",")[1] for line in lines]
    assert {name: by_process.count(name) for name in set(by_process)} == {f"rank_{n}": 800 for n in range(4)}


def test_kill_right_after_a_call_loses_nothing(command: Command) -> None:
    """What `log` returned from is in the run, however the process ends."""
    command.write("killed.py", KILLED)
    command.write("killed.yml", "script: killed.py\n")
    assert command.run("submit", "killed.yml", "--show-output").returncode == 100
    assert json.loads(command.run("metrics", "last", "-o", "json").stdout) == {"x": [1]}


def test_tags_and_children_are_seen_while_the_job_goes_on(command: Command) -> None:
    """The run's record has them before its end; a child that nobody ended ends with the job."""
    command.write(
        "long.py",
        "import time\nfrom azureml.core import Run\nrun = Run.get_context()\nrun.tag('k', 'v')\n"
        "run.child_run('c')\ntime.sleep(600)",
    )
    command.write("long.yml", "script: long.py\n")
    run_id = json.loads(command.run("submit", "long.yml", "-o", "json").stdout)["run_id"]
    run = command.workspace.run(run_id)
    wait_until(run.children.exists, what="the child run")
    wait_until(lambda: read_record(run).tags == {"k": "v"}, what="the tag")
    pid = json.loads(run.process_info.read_text().splitlines()[0])["pid_in_container"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: read_record(run).status is RunStatus.FAILED, what="the end of the run")
    (child,) = [command.workspace.run(name) for name in command.runs() if name != run.root.name]
    assert read_record(child).status is RunStatus.FAILED
