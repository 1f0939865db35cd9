import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner.history.status import RunStatus
from sidecar.contract import settings
from sidecar.contract.layout import WorkspaceLayout
from tests.doubles.run_folders import RunFolder, command_line, failed_run, new_run


@pytest.fixture
def workspace(tmp_path: Path) -> WorkspaceLayout:
    return WorkspaceLayout(tmp_path / "w")


@pytest.fixture
def failed(workspace: WorkspaceLayout) -> RunFolder:
    run = failed_run(workspace)
    run.metric("loss", 2.5, n=0)
    run.metric("loss", "NaN", n=1, f=1)
    return run


def ask(workspace: WorkspaceLayout, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    environ = {**os.environ, "RUNNER_WORKSPACE": str(workspace.root)}
    return subprocess.run(command_line(*arguments), env=environ, capture_output=True, timeout=30)


def answer(workspace: WorkspaceLayout, *arguments: str) -> str:
    done = ask(workspace, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def test_status_names_the_first_failure(workspace: WorkspaceLayout, failed: RunFolder) -> None:
    """Status says who failed first, how, where its log is, who was stopped because of it, and what to type next."""
    text = answer(workspace, "status", "last")
    for expected in (
        f"run        {failed.run_id}",
        "status     Failed since 2026-09-21 14:13:26 UTC",
        "processes  4: 1 Failed, 3 Terminated",
        "process  rank_2 on local-1",
        "how      exception, ValueError: boom , exit code 1",
        "log      azureml-logs/70_driver_log_2.txt",
        "others   rank_0, rank_1, rank_3 stopped because of it",
        f"runner logs {failed.run_id} --rank 2",
        f"folder     {failed.layout.root}",
    ):
        assert expected in text
    assert "\x1b" not in text


def test_status_as_json_is_the_record_and_its_processes(workspace: WorkspaceLayout, failed: RunFolder) -> None:
    """As JSON, status is run.json with the processes beside it, and the nodes that are out of reach."""
    found = json.loads(answer(workspace, "status", failed.run_id, "-o", "json"))
    assert found.pop("contact_lost") == {} and found.pop("disk_full") == []
    assert [row["process_name"] for row in found.pop("processes")] == ["rank_0", "rank_1", "rank_2", "rank_3"]
    assert found == json.loads(failed.layout.record.read_text())


def test_ps_lists_processes(workspace: WorkspaceLayout, failed: RunFolder) -> None:
    """Ps gives one row a process, as a table and as a list."""
    rows = json.loads(answer(workspace, "ps", "failing", "-o", "json"))
    assert [(row["status"], row["node_id"], row["cpu_percent"]) for row in rows][2] == ("Failed", "local-1", None)
    assert answer(workspace, "ps", "last").splitlines()[0].split()[:4] == ["Process", "Status", "Node", "PID"]


def test_ps_measures_what_lives_here(workspace: WorkspaceLayout) -> None:
    """A live process of the run is shown with its memory; a stranger with the same pid is not."""
    run = new_run(workspace)
    run.record()
    environ = {**os.environ, settings.MARK_RUN: run.run_id}
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, env=environ) as process:
        wait_for_mark(process.pid, run.run_id)
        for name, pid in (("rank_0", process.pid), ("rank_1", os.getpid())):
            run.process(name, node_id="local-0", log="x", pid=pid)
            run.change(name, "Started", 1)
        ours, strange = json.loads(answer(workspace, "ps", "last", "-o", "json"))
        process.communicate(b"\n")
    assert ours["rss_mib"] > 1 and ours["state"] == "sleeping" and strange["rss_mib"] is None


def wait_for_mark(pid: int, run_id: str) -> None:
    deadline = time.monotonic() + 10
    while run_id.encode() not in Path(f"/proc/{pid}/environ").read_bytes():
        assert time.monotonic() < deadline


def test_metrics(workspace: WorkspaceLayout, failed: RunFolder) -> None:
    """Metrics are an object of lists; what JSON cannot hold is a text."""
    assert json.loads(answer(workspace, "metrics", "last", "-o", "json")) == {"loss": [2.5, "NaN"]}
    assert answer(workspace, "metrics", "last").splitlines()[1].split() == ["loss", "2", "NaN", "2.5", "2.5"]


def test_history_list(workspace: WorkspaceLayout, failed: RunFolder) -> None:
    """The list has the Workbench's columns, N/A where a run has no such metric, and filters."""
    other = new_run(workspace, number=9)
    other.record(RunStatus.RUNNING, start_time_utc="2027-01-01T00:00:00.000000+00:00")
    header, first, second = answer(workspace, "history", "list").splitlines()
    assert header.split() == ["Duration", "Loss", "Run_id", "Script_name", "Start_time_utc", "Status"]
    assert first.split()[:3] == ["N/A", "N/A", other.run_id] and failed.run_id in second
    rows = json.loads(answer(workspace, "history", "list", "-o", "json", "--status", "failed"))
    assert [list(row) for row in rows] == [["duration", "loss", "run_id", "script_name", "start_time_utc", "status"]]
    assert json.loads(answer(workspace, "history", "list", "-o", "json", "--last", "1"))[0]["run_id"] == other.run_id


def test_history_list_by_a_metric(workspace: WorkspaceLayout, failed: RunFolder) -> None:
    """Only runs that have the metric, the best first."""
    other = new_run(workspace, number=9)
    other.metric("loss", 7, n=0)
    other.record()
    new_run(workspace, number=8).record()
    rows = json.loads(answer(workspace, "history", "list", "--by", "loss", "-o", "json"))
    assert [row["run_id"] for row in rows] == [other.run_id, failed.run_id]
    lowest = json.loads(answer(workspace, "history", "list", "--by", "loss", "--lowest-first", "-o", "json"))
    assert lowest == rows[::-1]


def test_history_query(workspace: WorkspaceLayout, failed: RunFolder) -> None:
    """JMESPath picks from the rows; a wrong query is wrong usage."""
    assert answer(workspace, "history", "list", "--query", "[].run_id", "-o", "json") == f'[\n  "{failed.run_id}"\n]\n'
    assert answer(workspace, "history", "info", "last", "--query", "status", "-o", "json") == '"Failed"\n'
    done = ask(workspace, "history", "list", "--query", "[")
    assert done.returncode == 2 and b"--query" in done.stderr


def test_history_info_has_the_workbench_keys(workspace: WorkspaceLayout, failed: RunFolder) -> None:
    """Info and last give one object, its keys sorted, the metrics at the top."""
    text = answer(workspace, "history", "info", failed.run_id, "-o", "json")
    assert text == answer(workspace, "history", "last", "-o", "json")
    found = json.loads(text)
    assert list(found) == sorted(found)
    assert set(found) >= {
        "attachments", "created_utc", "description", "duration", "end_time_utc", "experiment_id", "heartbeat_enabled",
        "hidden", "loss", "name", "parent_run_id", "properties", "run_id", "run_number", "script_name",
        "start_time_utc", "status", "target", "user_id",
    }  # fmt: skip
    assert "azureml-logs/70_driver_log_0.txt, azureml-logs/70_driver_log_1.txt" in found["attachments"]
    assert answer(workspace, "history", "last").splitlines()[0].startswith("Attachments ")


def test_history_info_stays_on_the_screen(workspace: WorkspaceLayout, failed: RunFolder) -> None:
    """Many files and large objects stand on lines of their own, below their key."""
    lines = answer(workspace, "history", "info", "last").splitlines()
    assert lines[0].split() == ["Attachments", "azureml-logs/70_driver_log_0.txt"]
    assert lines[1].split() == ["azureml-logs/70_driver_log_1.txt"]


def test_history_of_an_empty_workspace(workspace: WorkspaceLayout) -> None:
    """No run is no error: an empty list, and a word about it on standard error."""
    assert answer(workspace, "history", "list", "-o", "json") == "[]\n"
    done = ask(workspace, "history", "list")
    assert (done.returncode, done.stdout) == (0, b"") and b"no run" in done.stderr
    assert ask(workspace, "history", "last").returncode == 4


def test_reindex(workspace: WorkspaceLayout, failed: RunFolder) -> None:
    """Reindex says how many runs the index holds."""
    assert answer(workspace, "history", "reindex") == f"1 runs in {workspace.history}\n"


def test_init_makes_a_workspace_that_is_found(tmp_path: Path) -> None:
    """After init, commands in this folder and below use its workspace."""
    environ = {key: value for key, value in os.environ.items() if key != "RUNNER_WORKSPACE"}
    environ["PYTHONPATH"] = str(Path(__file__).parents[3])
    for said in ("made the workspace", "is there already"):
        done = subprocess.run(command_line("init"), env=environ, cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode, said in done.stdout) == (0, True)
    (tmp_path / "below").mkdir()
    argv = command_line("history", "list")
    done = subprocess.run(argv, env=environ, cwd=tmp_path / "below", capture_output=True, text=True)
    assert str(tmp_path / ".runner") in done.stderr


def test_logs_are_merged_and_plain_in_a_pipe(workspace: WorkspaceLayout, failed: RunFolder) -> None:
    """In a pipe logs are labelled lines without colours; a rank picks its own."""
    text = answer(workspace, "logs", "last")
    assert text == "".join(f"local-{rank // 2}:{rank} | hello from {rank}\n" for rank in range(4))
    assert answer(workspace, "logs", "last", "--rank", "2") == "local-1:2 | hello from 2\n"
    assert answer(workspace, "logs", "last", "-f", "--grep", "from [03]").count("\n") == 2


def test_one_file_is_copied_untouched(workspace: WorkspaceLayout, failed: RunFolder) -> None:
    """With --file and one file, a pipe gets its very bytes."""
    content = bytes(range(256)) * 3 + b"\r no end"
    failed.rank_log(7, (1, content))
    for follow in ([], ["-f"]):
        assert ask(workspace, "logs", "last", "--file", "70_driver_log_7.txt", *follow).stdout == content


def test_logs_that_do_not_exist(workspace: WorkspaceLayout, failed: RunFolder) -> None:
    """A rank or file that is not there is wrong usage; the message lists what is."""
    done = ask(workspace, "logs", "last", "--rank", "9")
    assert done.returncode == 2 and b"local-1:2" in done.stderr
    done = ask(workspace, "logs", "last", "--file", "*.nope")
    assert done.returncode == 2 and b"run.json" in done.stderr
    assert ask(workspace, "logs", "last", "--grep", "(").returncode == 2


def test_giant_line_needs_little_memory(workspace: WorkspaceLayout) -> None:
    """A line of 300 MB is shown cut, in less than 64 MiB."""
    run = new_run(workspace)
    run.record()
    os.truncate(run.rank_log(0, (1, b"start")), 300_000_000)
    code = "import resource, subprocess, sys; print(len(subprocess.run(sys.argv[1:], stdout=-1).stdout))\n"
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    environ = {**os.environ, "RUNNER_WORKSPACE": str(workspace.root)}
    argv = [sys.executable, "-c", code, *command_line("logs", "last")]
    shown, peak_kib = map(int, subprocess.run(argv, env=environ, capture_output=True, check=True).stdout.split())
    assert shown < 250_000 and peak_kib < 64 * 1024


def on_terminal(workspace: WorkspaceLayout, *arguments: str, **environ: str) -> str:
    return "".join(read_terminal(workspace, *arguments, **environ))


def read_terminal(workspace: WorkspaceLayout, *arguments: str, **more: str) -> Iterator[str]:
    ours, theirs = pty.openpty()
    environ = {**os.environ, "RUNNER_WORKSPACE": str(workspace.root), "TERM": "xterm", **more}
    process = subprocess.Popen(command_line(*arguments), env=environ, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    try:
        while select.select([ours], [], [], 20)[0]:
            yield os.read(ours, 65536).decode()
    except OSError:
        pass  # Linux tells by an error that the other side was closed
    finally:
        os.close(ours)
        process.wait(10)


def test_colours_only_where_they_are_wanted(workspace: WorkspaceLayout, failed: RunFolder) -> None:
    """A terminal gets colours, but not with NO_COLOR or --no-color; control characters never come through."""
    failed.rank_log(0, (5, b"\x1b[2J\x07\x1b[31mred\x1b[0m\n"))
    text = on_terminal(workspace, "logs", "last", NO_COLOR="")
    assert "\x1b[31mred" in text and "\x1b[2J" not in text and "\x07" not in text
    for plain in (
        on_terminal(workspace, "logs", "last", NO_COLOR="1"),
        on_terminal(workspace, "logs", "last", "--no-color"),
    ):
        assert "\x1b" not in plain and "red" in plain
    assert "\x1b[1m" in on_terminal(workspace, "history", "list", NO_COLOR="")
    assert "\x1b" not in on_terminal(workspace, "history", "list", "-o", "json", NO_COLOR="")


def test_one_file_on_a_terminal_is_harmless(workspace: WorkspaceLayout, failed: RunFolder) -> None:
    """With --file a terminal gets safe text, never the raw bytes."""
    failed.rank_log(7, (1, b"\x1b[2Jcleared\x00\n"))
    text = on_terminal(workspace, "logs", "last", "--file", "70_driver_log_7.txt", NO_COLOR="1")
    assert "\x1b" not in text and "cleared␀" in text


def test_doctor_reports_this_machine(workspace: WorkspaceLayout) -> None:
    """Doctor has one row a question, each with a level and a reason."""
    done = ask(workspace, "doctor", "-o", "json")
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert done.returncode in (0, 3)
    assert set(rows) >= {
        "python",
        "MPI",
        "disk",
        "inodes",
        "memory",
        "/dev/shm",
        "inotify",
        "docker",
        "cores",
        "uv",
        "conda",
    }
    assert all(row["level"] in ("ok", "warn", "fail") and row["detail"] for row in rows.values())
    assert re.search(r"\d+\.\d+", rows["python"]["detail"])


def test_doctor_fails_where_no_run_can_start(tmp_path: Path) -> None:
    """A workspace on a file system that takes nothing makes doctor exit with 3."""
    done = ask(WorkspaceLayout(Path("/proc/nowhere")), "doctor", "-o", "json")
    failing = [row["name"] for row in json.loads(done.stdout) if row["level"] == "fail"]
    assert done.returncode == 3 and "disk" in failing
    assert ask(WorkspaceLayout(tmp_path), "doctor", "gpu01").returncode == 2
