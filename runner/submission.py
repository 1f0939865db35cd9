"""Hands a request over: checked, snapshot taken, run folder created in one rename, controller started."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner import wiring
from runner.errors import ConfigError, MachineError, UsageError, WorkspaceError
from runner.handover import hand_over
from runner.history.run_kind import has_controller
from runner.history.run_record import RunRecord, iso_utc, read_record, write_record
from runner.history.status import RunStatus
from runner.store import workspace as workspaces
from sidecar.contract import lock, settings
from sidecar.contract.layout import RunLayout, WorkspaceLayout, new_run_id

if TYPE_CHECKING:
    from runner.phases.phase import RunContext
    from runner.spec.request import EnvironmentSpec, RunRequest
    from runner.store.snapshots import Snapshot
    from runner.transports.ssh.authentication import Secrets

# Longer than the wait of any launcher is no grace but a hang; 5 s keeps a teardown within 10 s.
_DEFAULT_STOP_GRACE_S = 5.0
# A folder's name may have 255 bytes (NAME_MAX), and a run's folder has a longer one while it is made or removed.
_RUN_ID_LIMIT_BYTES = 235
_UNFINISHED = ".new-"
_UNFINISHED_AGE_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitOptions:
    """What the submitter's environment says about taking a snapshot and stopping. Raises UsageError from `read`.

    `contact_limit_s`: how long a node may be out of reach before it is given up; None: for ever.
    """

    stop_grace_s: float
    contact_limit_s: float | None
    snapshot_limit_bytes: int
    snapshot_limit_files: int
    includes_secrets: bool

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> SubmitOptions:
        """The options that `environ` sets, defaults elsewhere."""
        return cls(
            stop_grace_s=_number(environ, settings.STOP_GRACE_S, _DEFAULT_STOP_GRACE_S),
            contact_limit_s=_number(environ, settings.CONTACT_LIMIT_S, 0.0) or None,
            snapshot_limit_bytes=int(_number(environ, settings.SNAPSHOT_LIMIT_MB, 300) * 1024 * 1024),
            snapshot_limit_files=int(_number(environ, settings.SNAPSHOT_LIMIT_FILES, 2000)),
            includes_secrets=environ.get(settings.SNAPSHOT_INCLUDE_SECRETS, "") not in ("", "0"),
        )


def _number(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e12:
        raise UsageError(f"{name}={text!r} is not a number of 0 or more")
    return value


def submit(
    request: RunRequest,
    workspace: WorkspaceLayout,
    *,
    environ: Mapping[str, str],
    tags: Mapping[str, str] | None = None,
    run_id: str | None = None,
    secrets: Secrets | None = None,
    describe: Callable[[RunRecord], RunRecord] | None = None,
) -> RunRecord:
    """Starts a run and returns its record once a controller has it. Nothing is created where the request is wrong.

    `secrets` are for logins and go nowhere but into the controller's memory; the record says only that there are some.
    `describe` may add to the record before the run is created: names, properties, a parent.
    Raises UsageError, SnapshotError, WorkspaceError or MachineError; killed at any moment it has either created no
    run, or one that `runner attach` starts.
    """
    options = SubmitOptions.read(environ)
    environment_spec = check(request, environ)
    workspaces.create(workspace)
    _sweep(workspace.runs)
    snapshot = take_snapshot(request, workspace, options)
    record = _new_record(request, workspace, snapshot, options, environment_spec, environ)
    if run_id is not None:
        record = _renamed(record, run_id, workspace)
    if tags:
        record = _tagged(record, tags)
    if secrets is not None:
        record = with_secrets(record, secrets)
    if describe is not None:
        record = describe(record)
    run = create_folder(workspace, record)
    hand_over(workspace, record.run_id, run, secrets)
    return record


def check(request: RunRequest, environ: Mapping[str, str]) -> dict[str, Any]:
    """Whether this machine can run the request; returns the environment as the nodes will build it.

    Raises UsageError for files that are missing, MachineError for programs that are.
    """
    from runner.spec.compute import LocalTarget
    from sidecar.contract import interpreters

    if request.docker.use_docker:
        return _contained_spec(request, environ)
    is_here = isinstance(request.compute_target, LocalTarget)
    spec = _environment_spec(request.environment, is_here=is_here)
    if not is_here:
        return spec
    path = request.environment.interpreter_path
    if path and interpreters.resolve_interpreter(path, environ) is None:
        raise MachineError(
            f"environment.python.interpreter_path: there is no program {path}",
            hint="give the path of a Python, or leave interpreter_path out to use the runner's own",
        )
    if spec["conda_dependencies"] and not spec["user_managed"] and interpreters.find_conda(environ) is None:
        raise MachineError(
            f"{request.environment.conda_dependencies_file} needs conda, mamba or micromamba, and none is on the PATH",
            hint="install micromamba, or use pip_requirements, or user_managed_dependencies: true",
        )
    return spec


def _contained_spec(request: RunRequest, environ: Mapping[str, str]) -> dict[str, Any]:
    """The environment inside of an image, which brings or gets whatever is to be installed."""
    from runner.containers.options import read_options
    from runner.containers.presence import check_engine
    from runner.containers.recipe import interpreter_of, read_recipe
    from runner.spec.compute import LocalTarget

    read_options(request.docker.arguments, dict(environ))
    is_here = isinstance(request.compute_target, LocalTarget)
    # Elsewhere, an image that is not to be built may come from a registry.
    if is_here or read_recipe(request).is_built:
        check_engine(environ)
    return {
        "user_managed": True,
        "interpreter_path": interpreter_of(request),
        "pip_requirements": None,
        "conda_dependencies": None,
    }


def _image_recipe(request: RunRequest) -> dict[str, Any]:
    """What the image is made of, files read; nothing where there is none."""
    if not request.docker.use_docker:
        return {}
    from runner.containers.recipe import read_recipe

    return {"image_recipe": read_recipe(request).to_record()}


def _environment_spec(environment: EnvironmentSpec, *, is_here: bool) -> dict[str, Any]:
    """The environment with the contents of its files, so that a later change of a file changes no run.

    Where it is built on this machine (`is_here`), a requirements file may name files beside it.
    """
    from runner.store.requirements_text import read_for_other_machines

    requirements = environment.pip_requirements
    pip: dict[str, Any] | None = None
    if isinstance(requirements, str) and not is_here:
        pip = {"text": read_for_other_machines(Path(requirements)), "folder": None}
    elif isinstance(requirements, str):
        pip = {"text": _read(requirements, "pip_requirements"), "folder": str(Path(requirements).parent)}
    elif requirements:
        pip = {"text": "\n".join(requirements), "folder": None}
    conda = environment.conda_dependencies_file
    return {
        "user_managed": environment.user_managed_dependencies,
        "interpreter_path": environment.interpreter_path,
        "pip_requirements": None if environment.user_managed_dependencies else pip,
        "conda_dependencies": {"text": _read(conda, "conda_dependencies_file")}
        if conda and not environment.user_managed_dependencies
        else None,
    }


def _read(path: str, key: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"environment.python.{key} cannot be read: {error}", source=path) from error


def take_snapshot(request: RunRequest, workspace: WorkspaceLayout, options: SubmitOptions) -> Snapshot:
    """The source folder as it is now, in the workspace's store. Raises SnapshotError."""
    from runner.store.snapshots import Snapshots

    return Snapshots(workspace.snapshots).take(
        Path(request.source_directory),
        limit_bytes=options.snapshot_limit_bytes,
        limit_files=options.snapshot_limit_files,
        include_secrets=options.includes_secrets,
    )


def _new_record(
    request: RunRequest,
    workspace: WorkspaceLayout,
    snapshot: Snapshot,
    options: SubmitOptions,
    environment_spec: Mapping[str, Any],
    environ: Mapping[str, str],
) -> RunRecord:
    from runner.store import git_state

    now = wiring.utc_now()
    run_id = new_run_id(request.experiment_name, epoch_s=int(now.timestamp()))
    if len(run_id.encode()) > _RUN_ID_LIMIT_BYTES:
        raise UsageError(
            f"experiment_name has {len(request.experiment_name)} characters; folders are named after it",
            hint=f"at most {_RUN_ID_LIMIT_BYTES - len(run_id) + len(request.experiment_name)} characters",
        )
    run = RunLayout.at("")
    properties = {
        "ContentSnapshotId": snapshot.id,
        "ProcessInfoFile": str(run.process_info),
        "ProcessStatusFile": str(run.process_status),
        **git_state.read(Path(request.source_directory), environ),
    }
    return RunRecord(
        run_id=run_id,
        experiment_name=request.experiment_name,
        status=RunStatus.NOT_STARTED,
        created_utc=iso_utc(now),
        script_name=request.script,
        target=request.compute_target.name,
        name=f"run_{run_id}",
        user_id=environ.get("USER") or environ.get("LOGNAME") or str(os.getuid()),
        run_number=next_run_number(workspace),
        tags=dict(request.tags),
        properties=properties,
        nodes=wiring.node_ids(request),
        request=request.to_record(),
        warnings=(*request.warnings, *_withheld(snapshot)),
        snapshot={"id": snapshot.id, "file_count": snapshot.file_count, "size_bytes": snapshot.size_bytes},
        extra={
            "settings": {"stop_grace_s": options.stop_grace_s, "contact_limit_s": options.contact_limit_s},
            "environment_spec": dict(environment_spec),
            **_image_recipe(request),
        },
    )


def _withheld(snapshot: Snapshot) -> list[str]:
    """One warning for what was left out of the snapshot because it looks like a secret."""
    if not snapshot.withheld:
        return []
    names = ", ".join(snapshot.withheld[:5]) + (", ..." if len(snapshot.withheld) > 5 else "")
    return [f"left out of the snapshot as possible secrets: {names} ({settings.SNAPSHOT_INCLUDE_SECRETS}=1 takes them)"]


def _renamed(record: RunRecord, run_id: str, workspace: WorkspaceLayout) -> RunRecord:
    import dataclasses

    if workspace.run(run_id).root.exists():
        raise UsageError(f"there is a run {run_id} already")
    return dataclasses.replace(record, run_id=run_id, name=f"run_{run_id}")


def _tagged(record: RunRecord, tags: Mapping[str, str]) -> RunRecord:
    import dataclasses

    return dataclasses.replace(record, tags={**record.tags, **tags})


def next_run_number(workspace: WorkspaceLayout) -> int:
    """The number for the next run of the workspace."""
    if not workspace.runs.is_dir():
        return 1
    return 1 + sum(1 for entry in os.scandir(workspace.runs) if not entry.name.startswith("."))


def create_folder(workspace: WorkspaceLayout, record: RunRecord) -> RunLayout:
    """The run folder, whole or not at all: it is filled under another name and renamed."""
    unfinished = RunLayout(workspace.runs / f"{_UNFINISHED}{record.run_id}")
    run = workspace.run(record.run_id)
    # The id is this run's alone: what lies there was begun by one who was killed over it.
    shutil.rmtree(unfinished.root, ignore_errors=True)
    try:
        for folder in _folders(unfinished, record):
            folder.mkdir(mode=0o700)
        write_record(unfinished, record)
        os.rename(unfinished.root, run.root)
    except OSError as error:
        shutil.rmtree(unfinished.root, ignore_errors=True)
        raise WorkspaceError(
            f"cannot create {run.root}: {error.strerror}", hint="free space, or check rights"
        ) from error
    return run


def _folders(run: RunLayout, record: RunRecord) -> list[Path]:
    """The folders of a new run, each after the one it lies in: made here, whatever the umask of others says."""
    nodes = [run.sidecar_logs(node_id) for node_id in record.nodes]
    logs = [run.azureml_logs, run.user_logs, run.system_logs, *dict.fromkeys(node.parent for node in nodes), *nodes]
    return [run.root, *logs, run.outputs, run.state, run.metrics]


def _sweep(runs: Path) -> None:
    """Removes folders that a killed submit left unfinished an hour ago or earlier."""
    for entry in os.scandir(runs):
        if entry.name.startswith(_UNFINISHED):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - entry.stat().st_mtime > _UNFINISHED_AGE_S:
                    shutil.rmtree(entry.path, ignore_errors=True)


def resume_if_orphaned(workspace: WorkspaceLayout, run_id: str, secrets: Secrets | None = None) -> bool:
    """Starts a controller for a run that should have one and has none; says whether it did.

    Not without the secrets that the run needs: it could log in nowhere.
    """
    run = workspace.run(run_id)
    record = read_record(run)
    if record.status.is_terminal or not has_controller(record) or lock.holder(run.controller_lock) is not None:
        return False
    if not run.controller_lock.exists() and lock.is_held(run.root):
        return False  # Somebody removed the lock; the controller is about to notice that.
    if needed_secrets(record) and secrets is None:
        return False
    hand_over(workspace, run_id, run, secrets)
    return True


def needed_secrets(record: RunRecord) -> list[str]:
    """Which secrets ("password", "passphrase") a controller of the run must be given by a person."""
    return list((record.extra.get("settings") or {}).get("secrets") or ())


def with_secrets(record: RunRecord, secrets: Secrets) -> RunRecord:
    """The record that says which secrets the run's controllers need, and nothing of the secrets themselves."""
    import dataclasses

    from runner.transports.ssh.handing import kinds

    chosen = dict(record.extra.get("settings") or {})
    chosen["secrets"] = sorted({*needed_secrets(record), *kinds(secrets)})
    return dataclasses.replace(record, extra={**record.extra, "settings": chosen})


def dry_context(request: RunRequest, workspace: WorkspaceLayout, *, environ: Mapping[str, str]) -> RunContext:
    """The context of a run that is not created: for its plans. Raises what `submit` would for a wrong request."""
    from runner.store.snapshots import Snapshot, Snapshots

    options = SubmitOptions.read(environ)
    Snapshots(workspace.snapshots).check(
        Path(request.source_directory),
        limit_bytes=options.snapshot_limit_bytes,
        limit_files=options.snapshot_limit_files,
        include_secrets=options.includes_secrets,
    )
    record = _new_record(
        request,
        workspace,
        Snapshot(id="(taken at submit)", file_count=0, size_bytes=0, withheld=()),
        options,
        check(request, environ),
        environ,
    )
    return wiring.make_context(workspace, record)
