"""Image build: every node has the job's environment; the first to come builds it, all share it. Its log is `20_`."""

from __future__ import annotations

from runner.phases.phase import PhasePlan, RunContext, Stage
from sidecar.contract.orders import Verb

PHASE = "image build"


def plan(context: RunContext) -> PhasePlan:
    """What the environment is made of."""
    environment = context.request.environment
    if environment.user_managed_dependencies or not (
        environment.pip_requirements or environment.conda_dependencies_file
    ):
        line = f"use the interpreter {environment.interpreter_path or 'of the runner'} as it is"
    elif environment.conda_dependencies_file:
        line = f"conda environment from {environment.conda_dependencies_file}, unless it is cached"
    else:
        what = environment.pip_requirements
        source = what if isinstance(what, str) else f"{len(what or ())} requirements"
        line = f"virtual environment from {source}, unless it is cached"
    return PhasePlan(phase=PHASE, lines=(line,))


def run(context: RunContext, stage: Stage) -> None:
    """Has the environment on every node. Raises PhaseFailed."""
    for node in stage.fleet:
        stage.say(node.node_id, "Checking the environment")
    stage.step_everywhere(Verb.BUILD, PHASE)
    for node in stage.fleet:
        built = node.state.step(Verb.BUILD.value)
        if built is not None:
            stage.say(node.node_id, _sentence(built["interpreter"], built["key"], is_hit=built["cache_hit"]))


def _sentence(interpreter: str, key: str | None, *, is_hit: bool | None) -> str:
    if key is None:
        return f"Environment: {interpreter}, managed by the user"
    return f"Environment {key[:12]}: {'cache hit' if is_hit else 'built'}, {interpreter}"
