"""`runner environment`: the images and virtual environments that runs share."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from runner.cli.place import output_option, workspace_here
from runner.cli.table import dump, format_table
from runner.cli.tty import is_coloured
from runner.errors import EnvironmentBuildError, MachineError

if TYPE_CHECKING:
    from docker import APIClient

    from runner.spec.request import RunRequest
    from sidecar.contract.layout import WorkspaceLayout

_LOOK_S = 0.1


@click.group()
def command() -> None:
    """List, build and clear the images and virtual environments of this workspace, and what is kept to ship them."""


@command.command("list")
@output_option
def list_command(output: str) -> None:
    """List what was built, with sizes."""
    records = list(_records(workspace_here(), _engine()))
    if output == "json":
        click.echo(dump(records))
        return
    rows = [
        (found["kind"], found["key"][:12], found["name"], _mib(found), found["created_utc"], _use(found))
        for found in records
    ]
    headers = ("Kind", "Key", "Name", "Size", "Created", "")
    click.echo(format_table(headers, rows, is_coloured=is_coloured(sys.stdout)), nl=False)


@command.command("prune")
@click.option("--older-than", "days", type=float, default=0.0, metavar="DAYS", help="Only what is older.")
@click.option("--dry-run", is_flag=True, help="Say what would go, and remove nothing.")
def prune_command(days: float, *, dry_run: bool) -> None:
    """Remove what no run uses now, and containers that crashes left; say how much that frees."""
    from runner.store import environment_cache

    workspace, client = workspace_here(), _engine()
    freed = 0
    for record in list(_records(workspace, client)):
        if record["is_used"] or not environment_cache.is_older(record, days):
            continue
        if dry_run or _remove(workspace, client, record):
            freed += record["size_bytes"]
            click.echo(
                f"{'would remove' if dry_run else 'removed'} {record['kind']} {record['key'][:12]} {_mib(record)}"
            )
    if client is not None and not dry_run:
        from runner.containers.engine import address
        from runner.containers.sweep import sweep

        for name in sweep(client, address(os.environ), workspace):
            click.echo(f"removed {name}, which a crash had left")
    click.echo(f"{freed / 2**20:.0f} MiB {'would be ' if dry_run else ''}freed")


@command.command("build")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key of the config file.")
@output_option
def build_command(config: Path, overrides: tuple[str, ...], output: str) -> None:
    """Build what a run of CONFIG would build here, and start nothing."""
    from runner.spec.config_file import read_request

    workspace = workspace_here()
    request = read_request(config, overrides=overrides, extra_arguments=(), compute_directory=workspace.compute)
    found = _build_image(workspace, request) if request.docker.use_docker else _build_environment(workspace, request)
    if output == "json":
        click.echo(dump(found))
    elif found["key"] is None:
        click.echo("Nothing is to be built for this config.")
    else:
        click.echo(f"{found['key'][:12]}  {'was there' if found['cache_hit'] else 'built'}")


def _records(workspace: WorkspaceLayout, client: APIClient | None) -> Iterator[dict[str, Any]]:
    from runner.containers.engine import address
    from runner.containers.image_cache import list_images
    from runner.containers.kept_parts import list_parts
    from runner.store.environment_cache import ANY, keys_in_use, list_environments
    from sidecar.contract.stores import LayersLayout

    if client is not None:
        used = set(keys_in_use(workspace))
        for record in list_images(client, address(os.environ)):
            yield {**record, "is_used": record["is_used"] or bool(used & {record["key"], ANY})}
    yield from list_environments(workspace)
    yield from list_parts(LayersLayout.of(workspace.root), is_needed=lambda image: _is_needed(workspace, client, image))


def _is_needed(workspace: WorkspaceLayout, client: APIClient | None, image: str | None) -> bool:
    """Whether a run may be about to ship parts of the image: one that has not ended, of an image that is still here."""
    from runner.containers.engine import address
    from runner.containers.image_cache import has_image
    from runner.store.environment_cache import keys_in_use

    is_gone = client is not None and image is not None and not has_image(client, address(os.environ), image)
    return not is_gone and any(True for _ in keys_in_use(workspace))


def _engine() -> APIClient | None:
    """The engine, where there is one; a sentence on standard error where there is one that does not answer."""
    from runner.containers.engine import open_engine
    from runner.containers.presence import check_engine

    try:
        check_engine(os.environ)
        return open_engine(os.environ)
    except MachineError as error:
        click.echo(f"images are left out: {error.message}", err=True)
        return None


def _remove(workspace: WorkspaceLayout, client: APIClient | None, record: dict[str, Any]) -> bool:
    from runner.containers.engine import address
    from runner.containers.image_cache import remove_image
    from runner.containers.kept_parts import KIND, remove_parts
    from runner.store.environment_cache import remove_environment
    from sidecar.contract.stores import LayersLayout

    try:
        if record["kind"] == "image" and client is not None:
            remove_image(client, address(os.environ), record)
            return True
        if record["kind"] == KIND:
            # Images before it may have taken a while to go, and a run may have begun.
            if _is_needed(workspace, client, record["id"]):
                return False
            remove_parts(LayersLayout.of(workspace.root), record["key"])
            return True
        return remove_environment(workspace, record["key"])
    except (MachineError, OSError) as error:
        click.echo(str(error), err=True)
        return False


def _build_image(workspace: WorkspaceLayout, request: RunRequest) -> dict[str, Any]:
    from runner.containers.build_log import BuildLog
    from runner.containers.engine import address, open_engine, read_facts
    from runner.containers.images import Client, Images
    from runner.containers.labels import WORKSPACE
    from runner.containers.recipe import read_recipe

    client = open_engine(os.environ)
    images = Images(client, address(os.environ), workspace, os.environ)
    asker = Client(
        owner={WORKSPACE: str(workspace.root)},
        name=f"scriptrun-build-{os.getpid()}",
        says=lambda sentence: click.echo(sentence, err=True),
        is_canceled=lambda: False,
    )
    with tempfile.TemporaryDirectory(prefix="scriptrun-build-") as folder:
        log = Path(folder, "build")
        with _shown(log):
            had = images.have(read_recipe(request), read_facts(client).platform, BuildLog(log), asker)
    return {"image": had.image.name, "key": had.key, "cache_hit": had.is_hit}


@contextlib.contextmanager
def _shown(log: Path) -> Iterator[None]:
    """What is written into the log meanwhile goes to standard error."""
    is_over = threading.Event()

    def show() -> None:
        position, is_last = 0, False
        while not is_last:
            is_last = is_over.wait(_LOOK_S)
            if log.exists():
                with open(log, "rb") as stream:
                    stream.seek(position)
                    sys.stderr.write(stream.read().decode("utf-8", "replace"))
                    position = stream.tell()

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _build_environment(workspace: WorkspaceLayout, request: RunRequest) -> dict[str, Any]:
    from runner import submission, wiring

    spec = submission.check(request, os.environ)
    question = json.dumps({"spec": spec, "cache": str(workspace.environments)})
    done = subprocess.run(
        [sys.executable, "-s", "-S", "-E", "-m", "sidecar", "build"],
        cwd=wiring.bundle_folder(),
        input=question + "\n",
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise EnvironmentBuildError(f"the builder ended with exit code {done.returncode}") from None
    if done.returncode != 0:
        raise EnvironmentBuildError(answer["message"], hint=answer["hint"])
    return answer


def _mib(record: dict[str, Any]) -> str:
    return f"{record['size_bytes'] / 2**20:.0f} MiB"


def _use(record: dict[str, Any]) -> str:
    return "in use" if record["is_used"] else ""
