"""Reads a config file into a request: a YAML file as DESIGN section 4 shows it, or an Azure ML v1 `.runconfig`.

file -> tree (document) -> today's keys (workbench) -> --set (overrides) -> without what v1 had and we have not
     -> sections, typed values -> RunRequest
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from runner.errors import ConfigError
from runner.spec import workbench
from runner.spec.argument import check_argument, check_size
from runner.spec.compute import ComputeTarget, LocalTarget
from runner.spec.compute_file import read_target
from runner.spec.distributed_keys import read_distributed
from runner.spec.document import read_document
from runner.spec.environment_keys import read_docker, read_environment
from runner.spec.ignored_keys import without_ignored
from runner.spec.keys import CONFIG, RUN_CONFIGURATION, SAME_KEY
from runner.spec.mlflow_mirror import read_mirror
from runner.spec.overrides import apply_overrides
from runner.spec.places import absolute
from runner.spec.request import DURATION_LIMIT_S, RunRequest, check_experiment_name
from runner.spec.runconfig import base_folder
from runner.spec.script import check_source_directory, resolve_script
from runner.spec.section import Section
from runner.spec.tree import Kind, ListValue, Place, at

_AFTER_DASHES = Place(source="arguments after --")
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")


def read_request(
    path: Path,
    *,
    overrides: Sequence[str] = (),
    extra_arguments: Sequence[str] = (),
    compute_directory: Path | None = None,
) -> RunRequest:
    """The request that the config file at `path` makes, with `--set` overrides and the arguments behind `--`.

    Relative paths, those of an override too, are relative to the config file (to the project, for a file in
    `.azureml/` or `aml_config/`). Raises ConfigError with the place of whatever is wrong; nothing is created.
    """
    path = Path(path)
    tree = read_document(path)
    is_workbench = workbench.is_workbench(tree)
    if is_workbench:
        tree = workbench.modernized(tree, path.parent)
    tree, ignored = without_ignored(apply_overrides(tree, overrides))
    top = Section(tree, keys={**CONFIG, **RUN_CONFIGURATION}, known=CONFIG, same_key=SAME_KEY)
    extra = tuple(extra_arguments)
    script_in_extra = None
    if is_workbench and extra and "script" not in top and "command" not in top:
        script_in_extra, *rest = extra
        extra = tuple(rest)
    return _Reading(path, top, compute_directory, is_workbench=is_workbench).request(extra, script_in_extra, ignored)


class _Reading:
    """One reading of one config: what its parts need of each other."""

    def __init__(self, path: Path, top: Section, compute_directory: Path | None, *, is_workbench: bool) -> None:
        self._path = path
        self._is_workbench = is_workbench
        self._top = top
        self._folder = base_folder(path)
        self._compute_directory = compute_directory

    def request(self, extra: tuple[str, ...], script: str | None, ignored: tuple[str, ...]) -> RunRequest:
        top = self._top
        warnings = list(ignored)
        name = self._experiment_name()
        source_directory = self._source_directory()
        command = self._command(extra)
        self._check_one_way(script, command)
        if command is None:
            script = self._script(source_directory, script)
        target = self._target()
        distributed, plain_node_count = read_distributed(top, target, warnings)
        environment = read_environment(top, folder=self._folder, warnings=warnings)
        return at(
            top.place_of("compute_target"),
            lambda: RunRequest(
                experiment_name=name,
                source_directory=source_directory,
                script=script,
                arguments=() if command is not None else self._arguments(extra),
                command=command,
                environment=environment,
                compute_target=target,
                distributed=distributed,
                plain_node_count=plain_node_count,
                docker=read_docker(top, environment.docker),
                max_run_duration_seconds=top.integer("max_run_duration_seconds", minimum=1, maximum=DURATION_LIMIT_S),
                tags=self._tags(),
                mlflow=read_mirror(top),
                warnings=tuple(warnings),
            ),
        )

    def _experiment_name(self) -> str:
        written = self._top.text("experiment_name")
        if written is None:
            return experiment_name_of(self._path)
        at(self._top.place_of("experiment_name"), lambda: check_experiment_name(written))
        return written

    def _source_directory(self) -> str:
        written = self._top.text("source_directory")
        path = self._folder if written is None else absolute(written, self._folder)
        at(self._top.place_of("source_directory"), lambda: check_source_directory(path))
        return path

    def _check_one_way(self, script: str | None, command: str | None) -> None:
        top = self._top
        has_script = script is not None or top.text("script") is not None
        if has_script and command is not None:
            raise top.place_of("command").error(
                f"'command' and 'script' are both given; 'script' stands at {top.place_of('script')}",
                hint="keep one of them; --set script=null takes one away",
            )
        if not has_script and command is None:
            hint = f"runner submit {self._path} -- train.py" if self._is_workbench else "script: train.py"
            raise ConfigError("has neither 'script' nor 'command'", source=str(self._path), hint=hint)
        if command is not None and self._top.scalars("arguments"):
            raise top.place_of("arguments").error("'arguments' go with 'script'", hint="write them into 'command'")

    def _script(self, source_directory: str, given: str | None) -> str:
        written = given or self._top.text("script") or ""
        place = _AFTER_DASHES if given else self._top.place_of("script")
        return at(place, lambda: resolve_script(source_directory, written))

    def _command(self, extra: tuple[str, ...]) -> str | None:
        if isinstance(self._top.value("command"), ListValue):
            written: str | None = " ".join(self._top.texts("command")) or None
        else:
            written = self._top.text("command")
        if written is None:
            return None
        if not written.strip():
            raise self._top.place_of("command").error("'command' is blank")
        command = " ".join([written, *map(shlex.quote, extra)])
        at(self._top.place_of("command"), lambda: check_size(command, "command"))
        return command

    def _arguments(self, extra: tuple[str, ...]) -> tuple[str, ...]:
        """Every argument as the file writes it; YAML's idea of its type does not matter."""
        items = self._top.scalars("arguments")
        for index, item in enumerate(items):
            if item.kind is Kind.NOTHING and not item.text:
                raise item.place.error(f"arguments[{index}] is nothing", hint='"" for an empty argument')
            _check_argument(item.text, index, item.place)
        for index, argument in enumerate(extra):
            _check_argument(argument, len(items) + index, _AFTER_DASHES)
        return (*(item.text for item in items), *extra)

    def _target(self) -> ComputeTarget:
        value = self._top.value("compute_target")
        if value is None:
            return LocalTarget()
        return read_target(value, folder=self._folder, compute_directory=self._compute_directory, path="compute_target")

    def _tags(self) -> dict[str, str]:
        return {key: value.text for key, value in self._top.text_map("tags").items()}


def experiment_name_of(path: Path) -> str:
    """The config file's name as the name of an experiment: what that cannot have becomes `_`."""
    name = _NOT_IN_A_NAME.sub("_", path.stem.lstrip(".")).lstrip("_-")[:100]
    return name or "experiment"


def _check_argument(argument: str, index: int, place: Place) -> None:
    at(place, lambda: check_argument(argument, index))
