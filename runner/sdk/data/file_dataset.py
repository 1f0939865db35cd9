"""FileDataset: files at some places (azureml-v1.md 7)."""

from __future__ import annotations

import os
import shutil
from typing import Any

from runner.sdk.data import places
from runner.sdk.data.abstract import AbstractDataset
from runner.sdk.data.consumption import DatasetConsumptionConfig
from runner.sdk.exceptions import UserErrorException


class FileDataset(AbstractDataset):
    """Files, to be read by a script as files."""

    def as_mount(self, path_on_compute: str | None = None) -> DatasetConsumptionConfig:
        """To be given to a run without a name of one's own."""
        return self.as_named_input(f"input_{self.id[:8]}").as_mount(path_on_compute)

    def as_download(self, path_on_compute: str | None = None) -> DatasetConsumptionConfig:
        """To be given to a run without a name of one's own."""
        return self.as_named_input(f"input_{self.id[:8]}").as_download(path_on_compute)

    def to_path(self) -> list[str]:
        """The names of the files, each beginning with `/`."""
        return [f"/{name}" for name, _ in self._selected()]

    def download(
        self, target_path: str | None = None, overwrite: bool = False, ignore_not_found: bool = False
    ) -> list[str]:
        """Copies the files below `target_path`, by default a new temporary folder; returns their paths.

        Raises UserErrorException where one is there already.
        """
        import tempfile

        target_path = target_path or tempfile.mkdtemp()
        copies = []
        for name, file in self._selected():
            target = os.path.join(os.path.abspath(target_path), name)
            if os.path.exists(target) and not overwrite:
                raise UserErrorException(f"{target} exists; overwrite=True replaces it.")
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(file, target)
            copies.append(target)
        return copies

    def mount(self, mount_point: str | None = None, **_others: Any) -> MountContext:
        """A folder with the files, while the context lasts; they are links, and nothing is copied."""
        return MountContext(self._selected(), mount_point)

    def take(self, count: int) -> FileDataset:
        """The first files."""
        return self._copy(["take", count])

    def skip(self, count: int) -> FileDataset:
        """All but the first files."""
        return self._copy(["skip", count])

    def random_split(self, percentage: float, seed: int | None = None) -> tuple[FileDataset, FileDataset]:
        """Two data sets, the first with about this share of the files; always the same two for a seed."""
        seed = 0 if seed is None else seed
        return self._copy(["split", percentage, seed, True]), self._copy(["split", percentage, seed, False])

    @property
    def path_for_job(self) -> str | None:
        """The one path that is the data set as it stands; None where there are several, or it must be fetched."""
        if self._steps or len(self._sources) != 1 or places.is_url(self._sources[0]):
            return None
        return None if places.has_pattern(self._sources[0]) else places.local_path(self._sources[0])

    def _selected(self) -> list[tuple[str, str]]:
        import random

        files = self._files()
        for step, *values in self._steps:
            if step == "split":
                draw = random.Random(values[1])  # noqa: S311 - a choice of files, no secret
                chosen = [draw.random() < values[0] for _ in files]
                files = [file for file, is_in in zip(files, chosen) if is_in == values[2]]
            else:
                files = files[: values[0]] if step == "take" else files[values[0] :]
        return files


class MountContext:
    """A folder of links to files; `with` makes it and removes it again."""

    def __init__(self, files: list[tuple[str, str]], mount_point: str | None) -> None:
        import tempfile

        self._files = files
        self.mount_point: str = os.path.abspath(mount_point) if mount_point else tempfile.mkdtemp()

    def start(self) -> None:
        """Makes the folder."""
        link_all(self._files, self.mount_point)

    def stop(self) -> None:
        """Removes the links, and the folders that are empty then."""
        for name, _ in self._files:
            path = os.path.join(self.mount_point, name)
            if os.path.islink(path):
                os.unlink(path)
        for folder, _, _ in sorted(os.walk(self.mount_point), reverse=True):
            if not os.listdir(folder):
                os.rmdir(folder)

    def __enter__(self) -> MountContext:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def link_all(files: list[tuple[str, str]], folder: str) -> None:
    """Links to all files below the folder, under their names; a link that is there is replaced."""
    for name, file in files:
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if os.path.islink(path):
            os.unlink(path)
        os.symlink(file, path)
