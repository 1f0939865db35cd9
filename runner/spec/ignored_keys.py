"""The keys of RunConfiguration that mean nothing here: taken with their defaults, reported with any other value.

A generated `.runconfig` has all of them (azureml-v1.md 1.3), so they are no errors; but somebody who sets one
counts on it, so what is left out is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from runner.spec.keys import to_snake
from runner.spec.tree import Entry, Kind, ListValue, MapValue, Scalar, Value

# A text is the default as it is written ("" also stands for nothing); ANY: no value of it changes a run.
Default: TypeAlias = "str | Sequence[str] | Mapping[str, Default]"
ANY = "*"
_NOTHING: Mapping[str, Default] = {}

IGNORED: Mapping[str, Default] = {
    "priority": "",
    "resume_from": "",
    "auto_prepare_environment": "true",
    "environment": {
        "version": ANY,
        "python": {"base_conda_environment": "", "conda_dependencies": _NOTHING},
        "docker": {
            "base_image_registry": {"address": "", "username": "", "password": "", "registry_identity": ""},
            "platform": {"os": "Linux", "architecture": "amd64"},
            "gpu_support": ANY,
        },
        "spark": {"repositories": (), "packages": (), "precache_packages": "true"},
        "databricks": dict.fromkeys(
            ("maven_libraries", "pypi_libraries", "rcran_libraries", "jar_libraries", "egg_libraries"), ()
        ),
        "r": "",
        "inferencing_stack_version": ANY,
        "asset_id": ANY,
    },
    "history": {"output_collection": "true", "snapshot_project": "true", "directories_to_watch": ("logs",)},
    "spark": {"configuration": {"spark.app.name": "Azure ML Experiment", "spark.yarn.max_app_attempts": "1"}},
    "hdi": {"yarn_deploy_mode": "cluster"},
    "paralleltask": {"max_retries_per_worker": "0", "worker_count_per_node": "1", "terminal_exit_codes": ""},
    "data_references": _NOTHING,
    "data": _NOTHING,
    "output_data": _NOTHING,
    "application_endpoints": _NOTHING,
    "datacaches": (),
    "source_directory_data_store": "",
    "amlcompute": {
        "vm_size": "",
        "vm_priority": "",
        "retain_cluster": "false",
        "name": "",
        "cluster_max_node_count": ANY,
    },
    "auto_cluster_compute_specification": _NOTHING,
    "kubernetescompute": {"instance_type": ""},
    "credential_passthrough": "false",
    # Of older and of newer SDKs than the reference's.
    "batchai": ANY,
    "container_instance": ANY,
    "cmk8s_compute": ANY,
    "command_return_code_config": ANY,
    "global_job_dispatcher": ANY,
    "identity": "",
    "services": _NOTHING,
}

# Without their values a job would run in another environment than the one that was asked for.
_INSTEAD = {"conda_dependencies": "conda_dependencies_file: a file with them, or pip_requirements"}


def without_ignored(tree: MapValue) -> tuple[MapValue, tuple[str, ...]]:
    """`tree` without the keys that mean nothing here, and a warning for every one that has a value of its own.

    Raises ConfigError for one that a job cannot do without.
    """
    warnings: list[str] = []
    return _without(tree, IGNORED, (), warnings), tuple(warnings)


def _without(tree: MapValue, ignored: Mapping[str, Default], path: tuple[str, ...], warnings: list[str]) -> MapValue:
    kept: list[Entry] = []
    for entry in tree:
        key = to_snake(entry.key)
        here = (*path, entry.key)
        default = ignored.get(key)
        if default is None:
            kept.append(entry)
        elif isinstance(default, Mapping) and _is_partly_known(here) and isinstance(entry.value, MapValue):
            kept.append(replace(entry, value=_without(entry.value, default, here, warnings)))
        elif key in _INSTEAD and not _is_empty(entry.value):
            name = ".".join(here)
            raise entry.place.error(f"'{name}' is not read; the job would lack its packages", hint=_INSTEAD[key])
        elif isinstance(default, Mapping) and _is_partly_known(here):
            kept.append(entry)  # not a mapping: refused where the known part is read
        else:
            warnings += (
                f"{value.place}: '{name}' has no meaning here and is left out"
                for name, value in _changed(entry.value, default, ".".join(here))
            )
    return MapValue(entries=tuple(kept), place=tree.place)


def _is_partly_known(path: tuple[str, ...]) -> bool:
    snake = tuple(to_snake(part) for part in path)
    return snake in (("environment",), ("environment", "python"), ("environment", "docker"))


def _changed(value: Value, default: Default, name: str) -> Iterator[tuple[str, Value]]:
    """The parts of `value` that are not the default, with their dotted names."""
    if default == ANY or _is_empty(value):
        return
    if isinstance(default, Mapping) and isinstance(value, MapValue) and default:
        for entry in value:
            yield from _changed(entry.value, default.get(to_snake(entry.key), ""), f"{name}.{entry.key}")
    elif isinstance(default, str):
        if not isinstance(value, Scalar) or value.text.lower() != default.lower():
            yield name, value
    elif isinstance(value, ListValue) and isinstance(default, Sequence):
        if [item.text for item in value.items if isinstance(item, Scalar)] != list(default):
            yield name, value
    else:
        yield name, value


def _is_empty(value: Value) -> bool:
    if isinstance(value, Scalar):
        return value.kind is Kind.NOTHING or not value.text
    return not (value.items if isinstance(value, ListValue) else value.entries)
