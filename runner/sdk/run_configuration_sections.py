"""The parts of a RunConfiguration for services that are not here: they can be set, and nothing is read from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from runner.sdk.element import Element


@dataclass
class HistoryConfiguration(Element):
    """What v1 collects of a run; here `outputs/` and `logs/` always are."""

    output_collection: bool = True
    snapshot_project: bool = True
    directories_to_watch: list[str] = field(default_factory=lambda: ["logs"])


@dataclass
class SparkConfiguration(Element):
    """What v1 says to Spark."""

    configuration: dict[str, Any] = field(default_factory=dict)


@dataclass
class HdiConfiguration(Element):
    """What v1 says to HDInsight."""

    yarn_deploy_mode: str = "cluster"


@dataclass
class AmlComputeConfiguration(Element):
    """The cluster that v1 would make for one run."""

    vm_size: str | None = None
    vm_priority: str | None = None
    retain_cluster: bool = False
    name: str | None = None
    cluster_max_node_count: int | None = None


@dataclass
class KubernetesComputeConfiguration(Element):
    """What v1 says to Kubernetes."""

    instance_type: str | None = None
