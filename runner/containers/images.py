"""Has the image of a job: found by its key, pulled, or built; one builder of a key at a time on this machine.

recipe -> base image | Dockerfile | context -> (key 1) -> + dependencies -> (key 2) -> image
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.containers import build_access, dockerfile_build, labels
from runner.containers.build_log import BuildLog
from runner.containers.dependencies import Installation
from runner.containers.description import Image
from runner.containers.dockerfile_build import BuildOrder
from runner.containers.engine import explained, reason
from runner.containers.labels import Role
from runner.containers.recipe import Recipe, context_hash, ignore_patterns
from runner.errors import EnvironmentBuildError, MachineError
from sidecar.contract.layout import WorkspaceLayout
from sidecar.contract.stores import EnvironmentsLayout

if TYPE_CHECKING:
    from docker import APIClient

_LOCK_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class HadImage:
    """The image, and how it came to be there: `key` and `is_hit` are None where nothing was to be built."""

    image: Image
    key: str | None
    is_hit: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Somebody an image is made for: who may lose interest, and is told in sentences what happens."""

    owner: Mapping[str, str]
    name: str
    says: Callable[[str], None]
    is_canceled: Callable[[], bool]


class Images:
    """The images on one engine."""

    def __init__(self, client: APIClient, address: str, workspace: WorkspaceLayout, environ: Mapping[str, str]) -> None:
        self._client = client
        self._address = address
        self._layout = EnvironmentsLayout(workspace.environments)
        self._folder = self._layout.images
        self._environ = environ

    def have(self, recipe: Recipe, platform: str, log: BuildLog, client: Client) -> HadImage:
        """The image of the recipe. Raises EnvironmentBuildError, or MachineError where the engine does not answer."""
        with explained("the image cannot be had", self._address):
            key, is_hit = None, None
            if recipe.base_image is not None:
                base = self._pulled(recipe.base_image, client)
                name = recipe.base_image
            else:
                hashed = context_hash(recipe.context, ignore_patterns(recipe.context)) if recipe.context else None
                key = recipe.dockerfile_key(platform, hashed)
                base, is_hit = self._found_or(key, client, lambda key: self._built(recipe, key, log, client))
                name = labels.image_name(key)
            if recipe.has_dependencies:
                below = base
                key = recipe.dependencies_key(str(base["Id"]), platform)
                base, is_hit = self._found_or(key, client, lambda key: self._installed(recipe, below, key, log, client))
                name = labels.image_name(key)
            entrypoint = (base.get("Config") or {}).get("Entrypoint") or ()
            return HadImage(
                image=Image(id=str(base["Id"]), name=name, entrypoint=tuple(entrypoint)), key=key, is_hit=is_hit
            )

    def _inspect(self, name: str) -> dict[str, Any] | None:
        from docker.errors import ImageNotFound

        try:
            return dict(self._client.inspect_image(name))  # type: ignore[no-untyped-call]  # its stubs
        except ImageNotFound:
            return None

    def _found_or(self, key: str, client: Client, make: Callable[[str], None]) -> tuple[dict[str, Any], bool]:
        found = self._inspect(labels.image_name(key))
        if found is not None:
            return found, True
        with self._lock(key, client):
            found = self._inspect(labels.image_name(key))
            if found is not None:
                return found, True  # Another run has built it meanwhile.
            started = time.monotonic()
            make(key)
            client.says(f"Built image {labels.image_name(key)} in {time.monotonic() - started:.1f} s")
        found = self._inspect(labels.image_name(key))
        assert found is not None, "what was just built is there"
        return found, False

    @contextlib.contextmanager
    def _lock(self, key: str, client: Client) -> Iterator[None]:
        """For us alone; the kernel frees it when this process dies."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._layout.image_lock(key), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            while not _try_lock(descriptor):
                if client.is_canceled():
                    raise EnvironmentBuildError("the build was canceled")
                time.sleep(_LOCK_PAUSE_S)  # Another run builds the same image: minutes, and none of our business.
            yield
        finally:
            os.close(descriptor)

    def _pulled(self, name: str, client: Client) -> dict[str, Any]:
        found = self._inspect(name)
        if found is not None:
            return found
        from docker.errors import APIError

        client.says(f"Pulling {name}")
        tagged = name if ":" in name.rpartition("/")[2] or "@" in name else f"{name}:latest"
        done: set[str] = set()
        try:
            for piece in self._client.pull(tagged, stream=True, decode=True):
                if client.is_canceled():
                    raise EnvironmentBuildError("the pull was canceled")
                if "error" in piece:
                    raise _not_pulled(name, str(piece["error"]))
                if piece.get("status") == "Pull complete" and piece.get("id"):
                    done.add(str(piece["id"]))
                    client.says(f"Pulled layer {piece['id']} ({len(done)} so far)")
        except APIError as error:
            raise _not_pulled(name, reason(error)) from error
        found = self._inspect(tagged)
        if found is None:
            raise _not_pulled(name, "the engine does not say why")
        return found

    def _built(self, recipe: Recipe, key: str, log: BuildLog, client: Client) -> None:
        order = BuildOrder(
            dockerfile=recipe.dockerfile,
            context=recipe.context,
            image_name=labels.image_name(key),
            labels={labels.KEY: key, labels.ENVIRONMENT: recipe.name},
            steps=self._layout.image_steps(key),
        )
        dockerfile_build.build(
            self._client,
            order,
            log,
            environ=self._environ,
            address=self._address,
            is_canceled=client.is_canceled,
        )

    def _installed(self, recipe: Recipe, base: Mapping[str, Any], key: str, log: BuildLog, client: Client) -> None:
        log.say(f"Building {labels.image_name(key)} on {(base.get('RepoTags') or [base['Id']])[0]}")
        installation = Installation(self._client, recipe, build_access.read_access(self._environ), log)
        installation.run(
            base,
            key,
            self._folder / f"{key}.{os.getpid()}",
            name=client.name,
            own_labels={**client.owner, labels.ROLE: Role.BUILD.value},
            is_canceled=client.is_canceled,
        )


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _not_pulled(name: str, why: str) -> MachineError:
    return MachineError(
        f"the image {name} is not on this machine and cannot be pulled: {why}",
        hint=f"docker pull {name} shows more; is base_image spelled right, and is there a login for its registry?",
    )
