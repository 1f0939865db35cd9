"""`azureml.core.Run` in a job: one line on disk a call."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sidecar.contract import settings

SITE = Path(__file__).parents[3] / "sidecar" / "injob" / "site"
JOB = {settings.AZUREML_RUN_ID: "digits_1700000000_0123abcd", settings.AZUREML_EXPERIMENT_NAME: "digits"}
START = "from azureml.core import Run\nrun = Run.get_context()\n"


def run(source: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs `source` where `azureml` can be found."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AZUREML", "RUNNER"))}
    command = [sys.executable, "-W", "error", "-c", source]
    environ = {**clean, "PYTHONPATH": str(SITE), **environ}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60)


def log(source: str, folder: Path) -> list[dict[str, Any]]:
    """The records that `source` leaves, run as a job whose run is `run`."""
    path = folder / "metrics.jsonl"
    done = run(START + source, **JOB, **{settings.METRICS_FILE: str(path)})
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line, parse_constant=pytest.fail) for line in path.read_text().splitlines()]


def test_names_are_those_of_the_contract() -> None:
    """What the in-job code repeats of the settings is what the settings say."""
    names = (SITE / "scriptrun_job" / "names.py").read_text()
    repeated: dict[str, str] = {}
    exec(names, repeated)
    own = {name: value for name, value in repeated.items() if name.isupper()}
    assert own == {name: getattr(settings, name) for name in own}


def test_one_record_a_call(tmp_path: Path) -> None:
    """A call leaves writer, sequence, time, name, value, step and kind, in this order."""
    first, second = log("run.log('mse', 0.5)\nrun.log('mse', 0.25, 'mean squared error', step=7)", tmp_path)
    assert list(first) == ["w", "n", "t", "name", "value", "step", "kind"]
    assert (first["w"], first["n"] + 1) == (second["w"], second["n"])
    assert (second["name"], second["value"], second["step"], second["kind"]) == ("mse", 0.25, 7, "scalar")
    assert 0 < first["t"] <= second["t"]


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("1", 1),
        ("-2.5e-300", -2.5e-300),
        ("True", True),
        ("None", None),
        ("'ä\"\\n\\x00'", 'ä"\n\x00'),
        ("'\\ud800'", "\ud800"),
        ("2**63 - 1", 2**63 - 1),
        ("__import__('fractions').Fraction(1, 3)", "Fraction(1, 3)"),
        ("1 + 2j", "(1+2j)"),
        ("__import__('http').HTTPStatus.OK", 200),
        ("type('Scalar', (), {'ndim': 0, 'item': lambda self: 1.5})()", 1.5),
        ("type('Broken', (), {'ndim': 0, 'item': lambda self: 1/0, '__repr__': lambda self: 'B'})()", "B"),
    ],
)
def test_values_are_converted_as_azure_ml_converts_them(code: str, value: object, tmp_path: Path) -> None:
    """Numbers, text, bool and None stay; numpy's scalars become Python's; the rest becomes its repr."""
    (record,) = log(f"run.log('x', {code})", tmp_path)
    assert record["value"] == value
    assert type(record["value"]) is type(value)
    assert "f" not in record


@pytest.mark.parametrize(("code", "text"), [("nan", "NaN"), ("inf", "Infinity"), ("-inf", "-Infinity")])
def test_numbers_that_json_lacks_are_marked_text(code: str, text: str, tmp_path: Path) -> None:
    """NaN and the infinities are strings with "f": 1 beside them."""
    plain, subclass = log(f"run.log('x', float('{code}'))\nrun.log('x', type('F', (float,), {{}})('{code}'))", tmp_path)
    assert (plain["value"], plain["f"]) == (subclass["value"], subclass["f"]) == (text, 1)


@pytest.mark.parametrize("code", ["[1]", "(1,)", "range(2)", "(i for i in 'ab')", "2**63", "-2**63 - 1"])
def test_lists_and_huge_integers_are_refused(code: str, tmp_path: Path) -> None:
    """What Azure ML refuses is refused, with its exception's name, and leaves no record."""
    source = f"try: run.log('x', {code})\nexcept Exception as e: run.log(type(e).__name__, e.message)"
    (record,) = log(source, tmp_path)
    assert record["name"] == "UserErrorException"
    assert record["value"].startswith("run.log does not support")


def test_threads_and_forks_never_share_a_number(tmp_path: Path) -> None:
    """Records of threads and of forked children are whole, and (writer, number) names one record only."""
    source = """
import os, threading
def work():
    for number in range(500): run.log("x", number)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
children = []
for _ in range(3):
    children.append(os.fork())
    if children[-1] == 0:
        work()
        os._exit(0)
for child in children: os.waitpid(child, 0)
"""
    records = log(source, tmp_path)
    assert len(records) == 7 * 500
    assert len({(record["w"], record["n"]) for record in records}) == len(records)
    assert len({record["w"] for record in records}) == 4


def test_two_processes_of_one_rank_tear_nothing(tmp_path: Path) -> None:
    """A script that starts itself again: two writers of one file, each whole and in its own order."""
    source = """
import subprocess, sys
again = None
if len(sys.argv) == 1:
    again = subprocess.Popen([sys.executable, "-c", OWN, "second"])
for number in range(1000): run.log("x", number)
if again is not None: assert again.wait() == 0
"""
    whole = START + source
    records = log(f"OWN = 'OWN = None\\n' + {whole!r}\n" + source, tmp_path)
    by_writer: dict[str, list[int]] = {}
    for record in records:
        by_writer.setdefault(record["w"], []).append(record["value"])
    assert list(by_writer.values()) == [list(range(1000))] * 2


@pytest.mark.parametrize("path", ["/dev/full", "/no/such/folder/metrics.jsonl"])
def test_disk_that_takes_nothing_is_said_once_and_costs_no_job(path: str) -> None:
    """Without room for metrics the script goes on, with one warning on standard error."""
    done = run(START + "for n in range(3): run.log('x', n)\nprint('done')", **JOB, **{settings.METRICS_FILE: path})
    assert (done.returncode, done.stdout) == (0, "done\n")
    assert done.stderr.count("metrics are being lost") == 1


def test_torn_record_costs_only_itself(tmp_path: Path) -> None:
    """After a short write (a full disk) the next record starts on a line of its own."""
    source = """
import os
write = os.write
os.write = lambda d, line: write(d, line[:9])
run.log("x", 1)
os.write = write
run.log("x", 2)
run.log("x", 3)
"""
    path = tmp_path / "metrics.jsonl"
    run(START + source, **JOB, **{settings.METRICS_FILE: str(path)})
    torn, *whole = path.read_text().splitlines()
    assert len(torn) == 9
    records = [(record["kind"], record["value"]) for record in map(json.loads, whole)]
    assert records == [("scalar", 2), ("lost", 1), ("scalar", 3)]


def test_call_is_cheap(tmp_path: Path) -> None:
    """The best of several rounds costs at most 8 µs a call (twice that where the machine is busy)."""
    source = """
import time
def round():
    start = time.perf_counter()
    for number in range(5000): run.log("loss", 0.25 * number)
    return (time.perf_counter() - start) / 5000
print(min(round() for _ in range(8)) * 1e6)
"""
    done = run(START + source, **JOB, **{settings.METRICS_FILE: str(tmp_path / "metrics.jsonl")})
    assert float(done.stdout) < 16


def test_context_is_one_object_with_id_and_experiment(tmp_path: Path) -> None:
    """`get_context` gives the same run each time, and it knows its id and its experiment's name."""
    more = "from azureml.core.run import Run as R\nprint(R.get_context() is run, run.id, run.experiment.name)"
    done = run(START + more, **JOB, **{settings.METRICS_FILE: str(tmp_path / "m")})
    assert done.stdout == "True digits_1700000000_0123abcd digits\n"


def test_outside_a_job_it_prints_what_it_would_log() -> None:
    """An offline run prints as Azure ML's does, and its id says what it is."""
    done = run(START + "run.log('a', 1.5)\nprint(run.id.startswith('OfflineRun_'), hasattr(run, 'experiment'))")
    assert done.stdout == "Attempted to log scalar metric a:\n1.5\nTrue False\n"
    assert "RunEnvironmentException" in run("from azureml.core import Run\nRun.get_context(allow_offline=False)").stderr


def test_system_log_has_azure_mls_line_format(tmp_path: Path) -> None:
    """The process's system log has lines of time, logger, level, message."""
    path = tmp_path / "12_azureml.log"
    more = {settings.METRICS_FILE: "/dev/null", settings.SYSTEM_LOG_FILE: str(path)}
    run(START, **JOB, **more)
    moment, logger, level, message = path.read_text().splitlines()[0].split("|")
    assert (logger, level) == ("azureml.run", "DEBUG")
    assert len(moment) == len("2022-04-20 12:27:52,149")
    assert JOB[settings.AZUREML_RUN_ID] in message


def test_import_is_cheap(tmp_path: Path) -> None:
    """The best of several imports costs at most 50 ms (twice that where the machine is busy)."""
    source = "import time\nt = time.perf_counter()\nfrom azureml.core import Run\nprint(time.perf_counter() - t)"
    took = min(float(run(source, PYTHONPYCACHEPREFIX=str(tmp_path)).stdout) for _ in range(5))
    assert took < 0.1


def test_import_loads_no_library_that_logging_needs_not() -> None:
    """What most scripts never use is imported by the calls that do."""
    more = "import sys\nrun.log('a', 1)\nprint(*sys.modules)"
    done = run(START + more, **JOB, **{settings.METRICS_FILE: "/dev/null"})
    assert not {"json", "logging", "typing", "inspect", "pathlib", "shutil", "tempfile"} & set(done.stdout.split())
