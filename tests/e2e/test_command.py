"""The `runner` command as a person uses it: real config files, real processes, real kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runner.history.run_record import read_record
from sidecar import processes
from sidecar.contract import lock, publish, settings
from sidecar.contract.layout import RunLayout
from tests.doubles.command import Command
from tests.doubles.node_lab import wait_until

ROOT = Path(__file__).parents[2]
_SLEEP = "import time\nprint('up', flush=True)\ntime.sleep(600)\n"


def _wait_for(run: RunLayout, text: bytes, index: int | None = None) -> None:
    log = run.driver_log(index)
    wait_until(lambda: log.exists() and text in log.read_bytes(), what=f"{text!r} in {log}")


def _nothing_left(run: RunLayout) -> bool:
    record = read_record(run)
    return all(not processes.of_run(processes.Mark(record.run_id, node), supervisor=None) for node in record.nodes)


def test_a_run_leaves_exactly_the_files_of_the_design(command: Command) -> None:
    """One process on one node: the files of DESIGN section 3, and no others."""
    command.write("hello.py", "open('outputs/x.txt', 'w').write('x'); open('logs/mine.log', 'w').write('y'); print(1)")
    command.write("hello.yml", "script: hello.py\n")
    done = command.run("submit", "hello.yml", "--show-output")
    assert done.returncode == 0, done.stderr
    run = RunLayout(command.workspace.runs / command.runs()[0])
    pid = publish.read_records(run.process_info)[0]["pid_in_container"]
    files = {str(path.relative_to(run.root)) for path in run.root.rglob("*") if path.is_file()}
    assert {name for name in files if not name.startswith(".state/")} == {
        "run.json",
        "azureml-logs/55_azureml-execution-local-0.txt",
        "azureml-logs/65_job_prep-local-0.txt",
        "azureml-logs/70_driver_log.txt",
        "azureml-logs/75_job_post-local-0.txt",
        "azureml-logs/process_info.json",
        "azureml-logs/process_status.json",
        f"logs/azureml/{pid}_azureml.log",
        "logs/azureml/job_prep_azureml.log",
        "logs/azureml/job_release_azureml.log",
        "logs/azureml/manifest.json",
        "logs/azureml/sidecar/local-0/prep_cmd.txt",
        "logs/azureml/sidecar/local-0/release_cmd.txt",
        "logs/azureml/sidecar/local-0/start_cms.txt",
        "logs/mine.log",
        "outputs/x.txt",
    }
    assert run.driver_log(None).read_bytes() == b"1\n"


def test_process_files_have_the_exact_shape(command: Command) -> None:
    """Keys in their order, nanoseconds, Started then Completed, and a last line for `*`."""
    command.write("hello.py", "print(1)")
    command.write("hello.yml", "script: hello.py\n")
    command.run("submit", "hello.yml", "--show-output")
    run = RunLayout(command.workspace.runs / command.runs()[0])
    info = json.loads(run.process_info.read_text())
    assert list(info) == ["process_name", "node_id", "pid_in_container", "private_ip", "log"]
    assert (info["process_name"], info["log"]) == ("main", "azureml-logs/70_driver_log.txt")
    lines = [json.loads(line) for line in run.process_status.read_text().splitlines()]
    assert [(line["process_name"], line["status"]) for line in lines] == [
        ("main", "Started"),
        ("main", "Completed"),
        ("*", "Completed"),
    ]
    assert all(list(line) == ["process_name", "timestamp", "status"] for line in lines)
    assert all(len(line["timestamp"]) == len("2026-11-20T22:30:10.764428389Z") for line in lines)


def test_arguments_reach_the_script_exactly(command: Command) -> None:
    """Every scalar as it is written, text of any kind, variables replaced, more behind `--`."""
    command.write("show.py", "import sys, json; print(json.dumps(sys.argv[1:]))")
    command.write(
        "show.yml",
        "script: show.py\n"
        'arguments: [1e-3, true, null, 010, 2020-01-01, "a b", "it\'s", "line\\nbreak", '
        'ünï, -x, --, "", $AZUREML_RUN_ID]\n',
    )
    done = command.run("submit", "show.yml", "-o", "json", "--show-output", "--", "--last", "$HOME_NOT_SET")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    log = RunLayout.at(found["run_directory"]).driver_log(None).read_text()
    assert json.loads(log) == [
        *("1e-3", "true", "null", "010", "2020-01-01", "a b", "it's", "line\nbreak", "ünï", "-x", "--", ""),
        found["run_id"],
        *("--last", "$HOME_NOT_SET"),
    ]


def test_a_failed_run_names_the_process_and_ends_with_100(command: Command) -> None:
    """The traceback on the screen, the process in `status`, exit code 100."""
    command.write("bad.py", "def step():\n    raise ValueError('bad batch')\nstep()\n")
    command.write("bad.yml", "script: bad.py\n")
    done = command.run("submit", "bad.yml", "--show-output")
    assert done.returncode == 100
    assert "main on local-0 failed first: ValueError: bad batch (exit code 1)" in done.stdout
    status = command.run("status", "last").stdout
    assert "ValueError" in status
    assert "main" in status


def test_cancel_ends_the_tree_and_prints_the_census(command: Command) -> None:
    """Daemons included; the census says 0 and is stored; attach to a canceled run ends with 103."""
    command.write(
        "tree.py",
        "import subprocess, time\n"
        "subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "print('up', flush=True)\ntime.sleep(600)\n",
    )
    command.write(
        "tree.yml", "script: tree.py\ndistributed_job_config: {type: PyTorch, process_count: 2, node_count: 2}\n"
    )
    run = command.submit("tree.yml")
    _wait_for(run, b"up", 0)
    _wait_for(run, b"up", 1)
    done = command.run("cancel", "last")
    assert done.returncode == 0, done.stderr
    assert "Canceled" in done.stdout
    assert done.stdout.count("0 processes, 0 shared memory segments, 0 ports left") == 2
    assert _nothing_left(run)
    assert all(found["left"] == 0 for found in (read_record(run).census or {}).values())
    assert command.run("attach", "last").returncode == 103


def test_a_cancel_before_anything_started(command: Command) -> None:
    """A run that is canceled while it is still being prepared never starts its script."""
    command.write("slow.py", _SLEEP)
    command.write("slow.yml", "script: slow.py\n")
    run = command.submit("slow.yml")
    assert command.run("cancel", run.root.name).returncode == 0
    assert read_record(run).status.value == "Canceled"
    assert _nothing_left(run)


def test_closing_the_terminal_changes_nothing(command: Command) -> None:
    """SIGHUP to the session of the submitter, SIGINT to its group: the run goes on to its end."""
    command.write(
        "count.py",
        "import os, time\nfor n in range(40): print(n, flush=True)\nwhile not os.path.exists('go'): time.sleep(0.02)\n",
    )
    command.write("count.yml", "script: count.py\n")
    follower = command.popen("submit", "count.yml", "--show-output", start_new_session=True)
    wait_until(lambda: bool(command.runs()) and not command.runs()[0].startswith("."), what="a run")
    run = RunLayout(command.workspace.runs / command.runs()[0])
    _wait_for(run, b"3\n")
    os.killpg(follower.pid, signal.SIGINT)
    _, told = follower.communicate(timeout=20)
    assert follower.returncode == 130
    assert "The run goes on" in told
    second = command.popen("attach", "last", start_new_session=True)
    os.killpg(second.pid, signal.SIGHUP)
    second.communicate(timeout=20)
    (command.workspace.node("local-0", run.root.name).work / "go").touch()
    wait_until(lambda: read_record(run).status.is_terminal, what="the end")
    assert read_record(run).status.value == "Completed"
    assert run.driver_log(None).read_text().split() == [str(number) for number in range(40)]


def test_a_killed_controller_is_resumed_by_any_command(command: Command) -> None:
    """`status` meets the orphan, starts a controller, says so; the run ends as if nothing had been."""
    command.write(
        "wait.py", "import os, time\nprint('up', flush=True)\nwhile not os.path.exists('go'): time.sleep(0.02)\n"
    )
    command.write("wait.yml", "script: wait.py\n")
    run = command.submit("wait.yml")
    _wait_for(run, b"up")
    found = lock.holder(run.controller_lock)
    assert found is not None
    os.kill(found.pid, signal.SIGKILL)
    wait_until(lambda: lock.holder(run.controller_lock) is None, what="the controller's death")
    status = command.run("status", "last")
    assert "a new one has taken over" in status.stderr
    (command.workspace.node("local-0", run.root.name).work / "go").touch()
    assert command.run("attach", "last").returncode == 0
    assert run.process_status.read_text().count("Started") == 1


def test_the_time_limit_of_the_config(command: Command) -> None:
    """max_run_duration_seconds ends the run as Failed, and says why."""
    command.write("slow.py", _SLEEP)
    command.write("slow.yml", "script: slow.py\nmax_run_duration_seconds: 1\n")
    done = command.run("submit", "slow.yml", "--show-output")
    assert done.returncode == 100
    assert "max_run_duration_seconds" in done.stdout


def test_two_nodes_write_the_same_output(command: Command) -> None:
    """The first node's file keeps its path; the other's goes below its node id."""
    command.write("two.py", "import os\nopen('outputs/who', 'w').write(os.environ['AZ_BATCH_NODE_ID'])\n")
    command.write(
        "two.yml", "script: two.py\ndistributed_job_config: {type: PyTorch, process_count: 2, node_count: 2}\n"
    )
    assert command.run("submit", "two.yml", "--show-output").returncode == 0
    run = RunLayout(command.workspace.runs / command.runs()[0])
    assert (run.outputs / "who").read_text() == "local-0"
    assert (run.outputs / "local-1" / "who").read_text() == "local-1"


def test_logs_written_by_the_script_are_live(command: Command) -> None:
    """What the script appends to `logs/` is in the run folder while it runs."""
    command.write(
        "live.py",
        "import time\nwith open('logs/a.log', 'w', 1) as f:\n"
        " f.write('one\\n'); print('up', flush=True); time.sleep(600)\n",
    )
    command.write("live.yml", "script: live.py\n")
    run = command.submit("live.yml")
    wait_until(lambda: (run.user_logs / "a.log").exists(), what="a live file")
    assert (run.user_logs / "a.log").read_text() == "one\n"
    command.run("cancel", "last")


def test_torch_and_tensorflow_variables(command: Command) -> None:
    """Ranks of two nodes meet at one address and port; TF_CONFIG names every task."""
    command.write(
        "env.py",
        "import os, json; print(json.dumps({k: os.environ.get(k) for k in "
        "('MASTER_ADDR','MASTER_PORT','RANK','LOCAL_RANK','WORLD_SIZE','NODE_RANK','TF_CONFIG')}))",
    )
    command.write("t.yml", "script: env.py\ndistributed_job_config: {type: PyTorch, process_count: 4, node_count: 2}\n")
    command.write(
        "f.yml",
        "script: env.py\ndistributed_job_config: {type: Tensorflow, worker_count: 2, parameter_server_count: 1}\n",
    )
    for name in ("t.yml", "f.yml"):
        assert command.run("submit", name, "--show-output").returncode == 0
    runs = {name[0]: RunLayout(command.workspace.runs / name) for name in command.runs()}
    torch = [json.loads(runs["t"].driver_log(rank).read_text()) for rank in range(4)]
    assert [(v["RANK"], v["LOCAL_RANK"], v["NODE_RANK"]) for v in torch] == [
        ("0", "0", "0"),
        ("1", "1", "0"),
        ("2", "0", "1"),
        ("3", "1", "1"),
    ]
    assert len({(v["MASTER_ADDR"], v["MASTER_PORT"], v["WORLD_SIZE"]) for v in torch}) == 1
    tasks = [json.loads(json.loads(runs["f"].driver_log(n).read_text())["TF_CONFIG"]) for n in range(3)]
    assert [task["task"] for task in tasks] == [
        {"type": "worker", "index": 0},
        {"type": "worker", "index": 1},
        {"type": "ps", "index": 0},
    ]
    names = {row["process_name"] for row in publish.read_records(runs["f"].process_info)}
    assert names == {"worker_0", "worker_1", "ps_0"}
    assert sorted(len(task["cluster"]["worker"]) for task in tasks) == [2, 2, 2]


def test_a_command_goes_through_the_shell(command: Command) -> None:
    """`command` is for the shell of the node: pipes, `&&`, variables."""
    command.write("c.yml", f"command: \"echo $AZUREML_RUN_ID | wc -l && {sys.executable} -c 'print(2)'\"\n")
    assert command.run("submit", "c.yml", "--show-output").returncode == 0
    run = RunLayout(command.workspace.runs / command.runs()[0])
    assert run.driver_log(None).read_text().split() == ["1", "2"]


@pytest.mark.parametrize(
    ("config", "code", "told"),
    [
        ("script: missing.py\n", 2, "missing.py"),
        ("script: ../outside.py\n", 2, "inside"),
        ("script: ok.py\ncompute_target: nowhere\n", 2, "nowhere"),
        (
            "script: ok.py\nenvironment: {python: {interpreter_path: /no/python, user_managed_dependencies: true}}\n",
            3,
            "/no/python",
        ),
        ("script: ok.py\nargumants: [1]\n", 2, "arguments"),
        ("script: ok.py\n---\nscript: ok.py\n", 2, "document"),
        ("script: ok.py\ndistributed_job_config: {type: Mpi, node_count: 0}\n", 2, "node_count"),
        ("script: [1]\n", 2, "script"),
    ],
)
def test_bad_input_is_told_once_and_creates_nothing(command: Command, config: str, code: int, told: str) -> None:
    """One message, the right exit code, no run."""
    command.write("ok.py", "print(1)")
    command.write("../outside.py", "print(1)")
    command.write("bad.yml", config)
    done = command.run("submit", "bad.yml")
    assert done.returncode == code
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert command.runs() == []


def test_a_dry_run_creates_nothing(command: Command) -> None:
    """Plans of all phases, in order, and no run."""
    command.write("ok.py", "print(1)")
    command.write("ok.yml", "script: ok.py\ndistributed_job_config: {type: PyTorch, process_count: 2, node_count: 2}\n")
    done = command.run("submit", "ok.yml", "--dry-run")
    assert done.returncode == 0, done.stderr
    found = [line for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert found == ["secure", "image build", "job prep", "driver", "job release"]
    assert command.runs() == []


def test_no_such_run(command: Command) -> None:
    """Exit code 4 for every command that takes a run."""
    for words in (("status", "x"), ("logs", "x"), ("ps", "x"), ("cancel", "x"), ("attach", "x"), ("metrics", "last")):
        assert command.run(*words).returncode == 4


def test_an_agent_that_cannot_start_is_told(command: Command) -> None:
    """A node whose agent ends at once: the run fails within seconds, names the node, and ends with 3."""
    command.write("ok.py", "print(1)")
    command.write("ok.yml", "script: ok.py\n")
    command.workspace.nodes.mkdir(parents=True)
    (command.workspace.nodes / "local-0").write_text("a file where the node's folder belongs")
    done = command.run("submit", "ok.yml", "--show-output")
    assert done.returncode == 3, done.stdout + done.stderr
    assert "secure on local-0 failed" in done.stdout


def test_a_name_too_long_for_a_folder(command: Command) -> None:
    """Refused with the length that fits."""
    command.write("ok.py", "print(1)")
    command.write("ok.yml", f"script: ok.py\nexperiment_name: {'x' * 250}\n")
    done = command.run("submit", "ok.yml")
    assert done.returncode == 2
    assert "at most" in done.stderr
    assert command.runs() == []


def test_a_dry_run_says_what_submit_would_refuse(command: Command) -> None:
    """A folder over the limit is refused before anything is planned."""
    command.write("hello.py", "print(1)\n")
    command.write("hello.yml", "script: hello.py\n")
    command.environ[settings.SNAPSHOT_LIMIT_FILES] = "1"
    done = command.run("submit", "hello.yml", "--dry-run")
    assert (done.returncode, done.stdout) == (2, "")
    assert settings.SNAPSHOT_LIMIT_FILES in done.stderr


def test_a_controller_that_is_killed_at_its_start_is_started_again(tmp_path: Path) -> None:
    """Whoever kills controllers again and again ends neither the submit nor an attach with an error."""
    kill = "import os, sys\nif 'controller' in sys.orig_argv:\n    n = len(os.listdir({0!r}))\n"
    kill += "    if n < 2:\n        os.mkdir(os.path.join({0!r}, str(n)))\n        os.kill(os.getpid(), 9)\n"
    site, killed = tmp_path / "site", tmp_path / "killed"
    killed.mkdir()
    command = Command(tmp_path, PYTHONPATH=str(site))
    command.write("site/sitecustomize.py", kill.format(str(killed)))
    command.write("hello.py", "print(1)\n")
    command.write("hello.yml", "script: hello.py\n")
    done = command.run("submit", "hello.yml", "--show-output")
    assert done.returncode == 0, done.stderr
    assert len(list(killed.iterdir())) == 2


def test_nobody_else_can_write_into_a_run(command: Command) -> None:
    """Also under a umask that lets everybody write everywhere."""
    command.write("hello.py", "print(1)\n")
    command.write("hello.yml", "script: hello.py\n")
    with command.popen("submit", "hello.yml", "--show-output", umask=0) as process:
        process.communicate(timeout=90)
    run = command.workspace.runs / command.runs()[0]
    folders = [run, *(path for path in run.rglob("*") if path.is_dir() and ".state" not in path.parts)]
    assert {path: oct(path.stat().st_mode & 0o077) for path in folders if path.stat().st_mode & 0o077} == {}


def test_a_closed_standard_output_is_no_error(command: Command) -> None:
    """`runner submit ... >&-` runs to its end, and the shell's closed stream is nobody's file."""
    command.write("hello.py", "print(1)\n")
    command.write("hello.yml", "script: hello.py\n")
    line = f"exec {sys.executable} -m runner submit hello.yml --show-output >&-"
    done = subprocess.run(["sh", "-c", line], cwd=command.folder, env=command.environ, stderr=subprocess.PIPE)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize("arguments", [["submit", "x.yml"], ["attach", "x"], ["cancel", "x"], ["status", "x"]])
def test_a_deleted_current_folder_is_told(command: Command, arguments: list[str]) -> None:
    """Every command says what is wrong, and what to do."""
    line = f"mkdir gone; cd gone; rmdir ../gone; exec {sys.executable} -m runner {' '.join(arguments)}"
    environ = {**command.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-c", line], cwd=command.folder, env=environ, capture_output=True, text=True)
    assert done.returncode == 2
    assert "the current folder does not exist any more" in done.stderr and "cd to another folder" in done.stderr
