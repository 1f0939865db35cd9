"""The order of the phases, and what a person sees of it before a run: the plans of a dry run."""

from __future__ import annotations

from runner.phases import containers, driver, image_build, job_prep, job_release, mpi, node_containers, secure
from runner.phases.phase import PhasePlan, RunContext
from runner.spec.request import MpiSpec


def uses_mpi(context: RunContext) -> bool:
    """Whether the processes are started by an MPI."""
    return isinstance(context.request.distributed, MpiSpec)


def plans(context: RunContext) -> tuple[PhasePlan, ...]:
    """What every phase of the run is going to do, in order."""
    middle = mpi.plan(context) if uses_mpi(context) else driver.plan(context)
    is_contained, is_remote = context.request.docker.use_docker, context.nodes[0].is_remote
    return (
        *((containers.plan(context),) if is_contained and not is_remote else ()),
        secure.plan(context),
        *((node_containers.plan(context),) if is_contained and is_remote else ()),
        *(() if is_contained else (image_build.plan(context),)),
        job_prep.plan(context),
        middle,
        job_release.plan(context),
    )
