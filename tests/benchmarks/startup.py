"""What a launcher costs on top of a one-line script, and how long `--help` takes."""

from __future__ import annotations

from tests.benchmarks.peers import Peer
from tests.benchmarks.report import Row, Section
from tests.benchmarks.stage import Stage
from tests.benchmarks.timing import Command, Samples, differences, interleave

NAME = "startup"

_LIMIT_S = 0.6
_HELP_LIMIT_MS = 150.0

_SUBMITIT = """
import sys
import submitit

def hello():
    print("hello")

executor = submitit.LocalExecutor(folder=sys.argv[1])
executor.update_parameters(timeout_min=1)
executor.submit(hello).result()
"""
_ML_PROJECT = 'name: hello\nentry_points:\n  main:\n    command: "python hello.py"\n'

_PYTHON = "python hello.py"
_RUNNER = "runner submit --show-output"


def measure(stage: Stage) -> Section:
    """Both tables in one section."""
    section = Section(name=NAME, title="a one-line script to completion; --help")
    peer = stage.peer("launchers", section)
    peer_commands = [] if peer.problem else _peer_commands(stage, peer)
    script = stage.write("hello", "hello.py", 'print("hello")\n')
    config = stage.config("hello", script.name)
    samples = interleave(
        [
            stage.command(_PYTHON, stage.python, str(script)),
            stage.runner(_RUNNER, "submit", str(config), "--show-output"),
            *peer_commands,
        ],
        runs=stage.count(9),
    )
    _add_all(section, samples, [_PYTHON, _RUNNER, *(command.label for command in peer_commands)])
    extra = differences(samples.wall_s(_RUNNER), samples.wall_s(_PYTHON))
    section.add(Row(what="runner minus python, pair by pair", values=extra, limit=_LIMIT_S))
    outlived = [sample.outlived_s for sample in samples.by_label[_RUNNER]]
    section.add(Row(what="runner: background processes outlive the command by", values=outlived))
    _measure_help(stage, section, peer)
    return section


def _peer_commands(stage: Stage, peer: Peer) -> list[Command]:
    folder = stage.write("peers", "hello.py", 'print("hello")\n').parent
    stage.write("peers", "MLproject", _ML_PROJECT)
    function = stage.write("peers", "submitit_hello.py", _SUBMITIT)
    store = f"sqlite:///{stage.scratch / 'startup-mlflow.db'}"
    environ = stage.environ(python=peer.python, MLFLOW_TRACKING_URI=store, MLFLOW_DISABLE_TELEMETRY="true")
    torchx = (peer.program("torchx"), "run", "-s", "local_cwd")
    argvs = {
        "torchx run -s local_cwd utils.sh": (*torchx, "utils.sh", peer.python, "hello.py"),
        "torchx run -s local_cwd utils.python": (*torchx, "utils.python", "--script", "hello.py"),
        "submitit LocalExecutor (a function)": (peer.python, str(function), str(stage.scratch / "submitit")),
        "mlflow run --env-manager local": (peer.program("mlflow"), "run", ".", "--env-manager", "local"),
    }
    return [stage.command(label, *argv, cwd=folder, environ=environ, is_optional=True) for label, argv in argvs.items()]


def _measure_help(stage: Stage, section: Section, peer: Peer) -> None:
    commands = [stage.runner("runner --help", "--help")]
    if not peer.problem:
        environ = stage.environ(python=peer.python, MLFLOW_DISABLE_TELEMETRY="true")
        commands += [
            stage.command(f"{name} --help", peer.program(name), "--help", environ=environ, is_optional=True)
            for name in ("torchx", "mlflow")
        ]
    samples = interleave(commands, runs=stage.count(9))
    for command in commands:
        values = [wall_s * 1000 for wall_s in samples.wall_s(command.label)]
        limit = _HELP_LIMIT_MS if command is commands[0] else None
        row = Row(what=command.label, values=values, unit="ms", cpu_s=samples.cpu_s(command.label), limit=limit)
        section.add(row)
    section.notes += [f"SKIPPED: {why}" for why in samples.skipped.values()]


def _add_all(section: Section, samples: Samples, labels: list[str]) -> None:
    for label in labels:
        section.add(Row(what=label, values=samples.wall_s(label), cpu_s=samples.cpu_s(label)))
    section.notes += [f"SKIPPED: {why}" for why in samples.skipped.values()]
