"""CondaDependencies: the packages of an environment, by conda and by pip (reference azureml-v1.md 1.4)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

from runner.sdk.exceptions import UserErrorException

_DEFAULT_FILE = "conda_dependencies.yml"
_NAME = re.compile(r"^(?:[\w.-]+::)?(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?P<rest>.*)$", re.DOTALL)
_PYTHON = "python"


class CondaDependencies:
    """The content of a conda file, to be changed package by package.

    Raises UserErrorException where the file is not there, or is none of conda's.
    """

    def __init__(
        self, conda_dependencies_file_path: str | None = None, _underlying_structure: dict[str, Any] | None = None
    ) -> None:
        if conda_dependencies_file_path is not None:
            self._content = _read(conda_dependencies_file_path)
        else:
            self._content = _underlying_structure or {"name": "project_environment", "dependencies": []}
        self._content.setdefault("dependencies", [])

    @staticmethod
    def create(
        conda_packages: Sequence[str] | None = None,
        pip_packages: Sequence[str] | None = None,
        python_version: str | None = None,
        pin_sdk_version: bool = True,
        pip_indexurl: str | None = None,
    ) -> CondaDependencies:
        """The dependencies with these packages; `pin_sdk_version` has no meaning here: every job has the SDK's names.

        Without `python_version` it is the Python that is there.
        """
        found = CondaDependencies()
        if python_version:
            found.set_python_version(python_version)
        for package in conda_packages or ():
            found.add_conda_package(package)
        for package in pip_packages or ():
            found.add_pip_package(package)
        if pip_indexurl:
            found.set_pip_index_url(f"--index-url {pip_indexurl}")
        return found

    # Reading

    def __bool__(self) -> bool:
        """Whether anything is asked for."""
        return bool(self._content["dependencies"])

    @property
    def conda_packages(self) -> Iterator[str]:
        """The packages that conda installs, the Python included."""
        return (entry for entry in self._content["dependencies"] if isinstance(entry, str))

    @property
    def pip_packages(self) -> Iterator[str]:
        """The packages that pip installs, without its options."""
        return (line for line in self._pip() if not line.startswith("-"))

    @property
    def pip_options(self) -> Iterator[str]:
        """The lines among pip's packages that are options, as `--index-url ...`."""
        return (line for line in self._pip() if line.startswith("-"))

    @property
    def conda_channels(self) -> Iterator[str]:
        """The channels that conda looks in."""
        return iter(self._content.get("channels") or ())

    @property
    def python_version(self) -> str | None:
        """The version of Python that is asked for, if any."""
        return self.get_python_version()

    def get_python_version(self) -> str | None:
        """The version of Python that is asked for, if any."""
        for package in self.conda_packages:
            if _name_of(package) == _PYTHON:
                return package[len(_PYTHON) :].lstrip("=<> ") or None
        return None

    def as_dict(self) -> dict[str, Any]:
        """The content of the conda file."""
        import copy

        return copy.deepcopy(self._content)

    def serialize_to_string(self) -> str:
        """The conda file as text."""
        import yaml

        text: str = yaml.safe_dump(self._content, sort_keys=False, allow_unicode=True)
        return text

    def save_to_file(self, base_directory: str, conda_file_path: str | None = None) -> str:
        """Writes the conda file below `base_directory`; returns its path relative to that."""
        name = conda_file_path or _DEFAULT_FILE
        self.save(os.path.join(base_directory, name))
        return name

    def save(self, path: str | None = None) -> str:
        """Writes the conda file; returns where."""
        path = path or _DEFAULT_FILE
        if os.path.dirname(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write(self.serialize_to_string())
        return path

    # Changing

    def add_conda_package(self, conda_package: str) -> None:
        """Adds a package for conda; one of the same name is replaced."""
        self._check(conda_package)
        self.remove_conda_package(conda_package)
        dependencies = self._content["dependencies"]
        pip_at = next((index for index, entry in enumerate(dependencies) if isinstance(entry, dict)), len(dependencies))
        dependencies.insert(pip_at, conda_package)

    def add_pip_package(self, pip_package: str) -> None:
        """Adds a package for pip; one of the same name is replaced."""
        self._check(pip_package)
        self.remove_pip_package(pip_package)
        self._pip_for_change().append(pip_package)

    def add_tensorflow_conda_package(self, core_type: str = "cpu", version: str | None = None) -> None:
        """Adds TensorFlow for conda."""
        self.add_conda_package(
            "tensorflow" + ("-gpu" if core_type == "gpu" else "") + (f"={version}" if version else "")
        )

    def add_tensorflow_pip_package(self, core_type: str = "cpu", version: str | None = None) -> None:
        """Adds TensorFlow for pip."""
        self.add_pip_package(
            "tensorflow" + ("-gpu" if core_type == "gpu" else "") + (f"=={version}" if version else "")
        )

    def add_cntk_package(self, core_type: str = "cpu") -> None:
        """Adds CNTK for pip."""
        self.add_pip_package("cntk-gpu" if core_type == "gpu" else "cntk")

    def add_channel(self, channel: str) -> None:
        """Adds a channel for conda."""
        self._check(channel)
        channels = self._content.setdefault("channels", [])
        if channel not in channels:
            channels.append(channel)

    def remove_channel(self, channel: str) -> None:
        """Removes a channel, where it is there."""
        self._content["channels"] = [known for known in self.conda_channels if known != channel]

    def remove_conda_package(self, conda_package: str) -> None:
        """Removes a package of conda's by its name, where it is there."""
        gone = _name_of(conda_package)
        self._content["dependencies"] = [
            entry for entry in self._content["dependencies"] if not isinstance(entry, str) or _name_of(entry) != gone
        ]

    def remove_pip_package(self, pip_package: str) -> None:
        """Removes a package of pip's by its name, where it is there."""
        gone, pip = _name_of(pip_package), self._pip()
        pip[:] = [line for line in pip if line.startswith("-") or _name_of(line) != gone]

    def set_python_version(self, version: str) -> None:
        """Asks for a version of Python."""
        self.remove_conda_package(_PYTHON)
        self._content["dependencies"].insert(0, f"{_PYTHON}={version}")

    def set_pip_requirements(self, pip_requirements: Sequence[str]) -> None:
        """Replaces everything that pip installs, options included."""
        self._pip_for_change()[:] = [str(line) for line in pip_requirements]

    def set_pip_index_url(self, index_url: str) -> None:
        """Replaces pip's option for its index; `index_url` is the whole option, as `--index-url URL`."""
        self._replace_option("--index-url", index_url)

    def set_pip_option(self, pip_option: str) -> None:
        """Adds an option of pip's, in the place of one of the same name."""
        self._replace_option(pip_option.split(" ")[0].split("=")[0], pip_option)

    def _replace_option(self, name: str, line: str) -> None:
        pip = self._pip_for_change()
        pip[:] = [line, *(known for known in pip if not known.startswith(name))]

    def _pip(self) -> list[str]:
        for entry in self._content["dependencies"]:
            if isinstance(entry, dict) and isinstance(entry.get("pip"), list):
                lines: list[str] = entry["pip"]
                return lines
        return []

    def _pip_for_change(self) -> list[str]:
        if not any(isinstance(entry, dict) and "pip" in entry for entry in self._content["dependencies"]):
            self._content["dependencies"].append({"pip": []})
        return self._pip()

    @staticmethod
    def _check(package: object) -> None:
        if not isinstance(package, str) or not package.strip():
            raise UserErrorException(f"A package or channel must be a text. Found {package!r}.")

    @staticmethod
    def _validate(conda_dependencies: object) -> None:
        if not isinstance(conda_dependencies, CondaDependencies):
            raise UserErrorException(
                f"conda_dependencies must be a CondaDependencies. Found {type(conda_dependencies).__name__}."
            )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CondaDependencies) and self._content == other._content

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return self.serialize_to_string()


def _name_of(package: str) -> str:
    found = _NAME.match(package.strip())
    return re.sub(r"[-_.]+", "-", found["name"].lower()) if found else package


def _read(path: str) -> dict[str, Any]:
    import yaml

    try:
        with open(path, encoding="utf-8") as stream:
            content = yaml.safe_load(stream)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserErrorException(f"Environment specification cannot be read: {path}: {error}") from error
    if not isinstance(content, dict):
        raise UserErrorException(f"{path} is no conda file: it must hold a mapping with the key 'dependencies'.")
    return content
