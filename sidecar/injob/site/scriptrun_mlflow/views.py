"""What MLflow may know of a run, before it is put into MLflow's own words."""

from __future__ import annotations

import hashlib
from typing import Dict, Iterator, List, NamedTuple, Optional

from scriptrun_mlflow.records import Facts, Records

ARTIFACTS, CHILDREN = "artifacts", "children"
# Longer ids are refused by MLflow.
_EXPERIMENT_ID_LIMIT = 64


class RunView(NamedTuple):
    """One run; `status` in Azure ML v1's words, times in milliseconds, `artifacts` a place that MLflow can read."""

    run_id: str
    experiment_name: str
    user: str
    status: str
    start_ms: int
    end_ms: Optional[int]
    name: str
    description: Optional[str]
    parent_run_id: Optional[str]
    artifacts: str
    tags: Dict[str, str]
    facts: Facts

    @property
    def experiment_id(self) -> str:
        """MLflow's id of the experiment."""
        return experiment_id(self.experiment_name)


class ExperimentView(NamedTuple):
    """One experiment."""

    name: str
    artifacts: str
    created_ms: int
    changed_ms: int


def experiment_id(name: str) -> str:
    """The experiment's name, which MLflow takes for an id unless it is too long."""
    if len(name) <= _EXPERIMENT_ID_LIMIT:
        return name
    return "{}_{}".format(name[:47], hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16])


def with_facts(view: RunView, facts: Facts) -> RunView:
    """The run after what its script said of it; what a person changed since stays changed."""
    tags = dict(view.tags)
    for name, value in facts.tags.items():
        if value is None:
            tags.pop(name, None)
        else:
            tags[name] = value
    details = facts.details
    return view._replace(
        tags=tags,
        name=details.get("display_name") or view.name,
        description=details.get("description") or view.description,
        facts=facts,
    )


def children(parent: RunView, records: Records) -> Iterator[RunView]:
    """The child runs that the job of `parent` made; one that was never ended ends with its job."""
    for run_id, facts in records.children.items():
        is_open = facts.status in ("", "Running")
        view = parent._replace(
            run_id=run_id,
            status=parent.status if is_open else facts.status,
            start_ms=facts.began_ms,
            end_ms=parent.end_ms if is_open else facts.ended_ms,
            name=run_id,
            description=None,
            parent_run_id=facts.parent,
            artifacts=child_artifacts(parent.artifacts, run_id),
            tags={},
        )
        yield with_facts(view, facts)


def child_artifacts(artifacts: str, run_id: str) -> str:
    """Where a child run's files lie, beside those of the job's own run."""
    return "{}/{}/{}/{}".format(artifacts.rpartition("/")[0], CHILDREN, run_id, ARTIFACTS)


def family(view: RunView, records: Records) -> List[RunView]:
    """The run of a job and all its child runs."""
    own = with_facts(view, records.own)
    return [own, *children(own, records)]
