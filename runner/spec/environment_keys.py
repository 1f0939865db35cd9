"""Reads what a job runs in: the keys `environment`, `environment_variables` and `docker_runtime_config`."""

from __future__ import annotations

import os

from runner.spec.environment import (
    DEFAULT_NAME,
    DEFAULT_SHM_SIZE,
    DockerSpec,
    EnvironmentSpec,
    ImageSpec,
    check_variable,
)
from runner.spec.keys import DOCKER, ENVIRONMENT, ENVIRONMENT_DOCKER, PYTHON
from runner.spec.places import absolute, program
from runner.spec.section import Section
from runner.spec.tree import Kind, ListValue, Scalar, at

_GENERATED_INTERPRETER = "python"


def read_environment(top: Section, *, folder: str, warnings: list[str]) -> EnvironmentSpec:
    """The environment that the top of a config asks for. Raises ConfigError; a file it names must exist."""
    section = top.section("environment", ENVIRONMENT)
    python = section.section("python", PYTHON)
    is_user_managed = python.boolean("user_managed_dependencies", default=False)
    pip = _pip_requirements(python, folder)
    conda = _file(python, "conda_dependencies_file", folder, may_be_missing=is_user_managed)
    if pip is not None and conda is not None:
        raise python.place_of("conda_dependencies_file").error(
            "pip_requirements and conda_dependencies_file are both given; a job has one environment",
            hint="write the pip packages into the conda file",
        )
    if is_user_managed and pip is not None:
        warnings.append(
            f"{python.place_of('pip_requirements')}: 'pip_requirements' is not installed, because "
            "user_managed_dependencies is true"
        )
    return EnvironmentSpec(
        name=section.text("name") or DEFAULT_NAME,
        user_managed_dependencies=is_user_managed,
        interpreter_path=_interpreter(python, folder, has_conda=conda is not None and not is_user_managed),
        pip_requirements=pip,
        conda_dependencies_file=conda,
        docker=_image(section.section("docker", ENVIRONMENT_DOCKER), folder),
        environment_variables={**_variables(section), **_variables(top)},
    )


def read_docker(top: Section, image: ImageSpec) -> DockerSpec:
    """How the container is started; either way of asking for Docker is enough (azureml-v1.md 1.1)."""
    section = top.section("docker_runtime_config", DOCKER)
    return DockerSpec(
        use_docker=section.boolean("use_docker", default=False) or image.enabled,
        arguments=section.texts("arguments") or image.arguments,
        shm_size=_shm_size(section, default=image.shm_size),
        shared_volumes=section.boolean("shared_volumes", default=image.shared_volumes),
    )


def _interpreter(python: Section, folder: str, *, has_conda: bool) -> str | None:
    written = python.text("interpreter_path")
    if written is None or (has_conda and written == _GENERATED_INTERPRETER):
        # A generated .runconfig says "python" where conda brings its own; a machine need not have that program.
        return None
    return program(written, folder)


def _pip_requirements(python: Section, folder: str) -> str | tuple[str, ...] | None:
    value = python.value("pip_requirements")
    if value is None:
        return None
    if isinstance(value, ListValue):
        items = python.scalars("pip_requirements")
        for item in items:
            if item.kind is Kind.NOTHING or not item.text.strip() or "\0" in item.text or "\n" in item.text:
                raise item.place.error(f"a requirement must be text on one line, found {item.found}")
        return tuple(item.text for item in items)
    if not isinstance(value, Scalar) or value.kind is not Kind.TEXT:
        raise python.wrong("pip_requirements", "a file or a list of requirements")
    return _file(python, "pip_requirements", folder, hint="a text names a file; packages are a list: [numpy, pandas]")


def _file(
    section: Section, key: str, folder: str, *, may_be_missing: bool = False, hint: str | None = None
) -> str | None:
    written = section.text(key)
    if written is None:
        return None
    path = absolute(written, folder)
    if not may_be_missing and not os.path.isfile(path):
        what = "is no file" if os.path.lexists(path) else "doesn't exist"
        raise section.place_of(key).error(
            f"'{section.path_of(key)}': {path} {what}", hint=_nearest(key, written, folder) or hint
        )
    return path


def _nearest(key: str, written: str, folder: str) -> str | None:
    from difflib import get_close_matches

    above, name = os.path.split(written)
    try:
        near = get_close_matches(name, os.listdir(absolute(above, folder)), n=1, cutoff=0.75)
    except OSError:
        return None
    return f"{key}: {os.path.join(above, near[0])}" if near else None


def _image(section: Section, folder: str) -> ImageSpec:
    dockerfile = section.text("base_dockerfile")
    if dockerfile is not None and "\n" not in dockerfile:
        dockerfile = _file(section, "base_dockerfile", folder)
    context = section.text("build_context")
    given = [key for key in ("base_image", "base_dockerfile", "build_context") if key in section]
    return at(
        section.place_of(given[-1]) if given else section.place,
        lambda: ImageSpec(
            enabled=section.boolean("enabled", default=False),
            base_image=section.text("base_image"),
            base_dockerfile=dockerfile,
            build_context=absolute(context, folder) if context else None,
            arguments=section.texts("arguments"),
            shm_size=_shm_size(section, default=DEFAULT_SHM_SIZE),
            shared_volumes=section.boolean("shared_volumes", default=True),
        ),
    )


def _shm_size(section: Section, *, default: str) -> str:
    written = section.written("shm_size")
    if written is None:
        return default
    number = written[:-1] if written[-1:].lower() in "bkmg" else written
    if not (number.isascii() and number.isdigit() and int(number[:20])):
        raise section.wrong("shm_size", "a size such as 512m or 2g")
    return written


def _variables(section: Section) -> dict[str, str]:
    variables: dict[str, str] = {}
    for name, value in section.text_map("environment_variables").items():
        if value.kind is Kind.NOTHING:
            raise value.place.error(f"environment variable {name} has no value", hint=f'{name}: ""')
        _check_variable(name, value)
        variables[name] = value.text
    return variables


def _check_variable(name: str, value: Scalar) -> None:
    at(value.place, lambda: check_variable(name, value.text))
