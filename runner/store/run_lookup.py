"""From what a person types for RUN to a run id: a whole id, a unique prefix, or `last`."""

from __future__ import annotations

import itertools
import os

from runner.errors import NoSuchRunError, WorkspaceError
from runner.history.run_record import read_record
from sidecar.contract.layout import WorkspaceLayout, is_run_id, run_id_seconds

LAST = "last"

# Enough to recognise the run that was meant, few enough to read.
_SHOWN = 5


def list_run_ids(workspace: WorkspaceLayout) -> list[str]:
    """The id of every run in the workspace, in no order; one look at one folder, so quick with 10,000 runs."""
    try:
        with os.scandir(workspace.runs) as entries:
            return [entry.name for entry in entries if is_run_id(entry.name) and entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise WorkspaceError(f"cannot read {workspace.runs}: {error.strerror}") from error


def resolve(workspace: WorkspaceLayout, text: str) -> str:
    """The id of the run that `text` means; raises NoSuchRunError naming what is near, or the several that match."""
    if is_run_id(text) and os.path.isdir(workspace.run(text).root):
        return text
    run_ids = list_run_ids(workspace)
    if text == LAST:
        return _newest(workspace, run_ids)
    matches = [run_id for run_id in run_ids if text and run_id.startswith(text)]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise NoSuchRunError(f"{len(matches)} runs begin with {text!r}:{_listing(matches)}", hint="type more of the id")
    raise _unknown(workspace, text, run_ids)


def _newest(workspace: WorkspaceLayout, run_ids: list[str]) -> str:
    if not run_ids:
        raise NoSuchRunError(f"there is no run yet in {workspace.root}", hint="runner submit CONFIG")
    by_age = sorted(run_ids, key=run_id_seconds, reverse=True)
    for _, same_second in itertools.groupby(by_age, key=run_id_seconds):
        tied = [(_created(workspace, run_id), run_id) for run_id in same_second]
        own = [(created, run_id) for created, run_id in tied if created is not None]
        if own:
            return max(own)[1]
    return by_age[0]


def _created(workspace: WorkspaceLayout, run_id: str) -> str | None:
    """When the run was made; None for one below another, which nobody means by `last`."""
    try:
        record = read_record(workspace.run(run_id))
    except (NoSuchRunError, WorkspaceError):
        return ""
    return record.created_utc if record.parent_run_id is None else None


def _unknown(workspace: WorkspaceLayout, text: str, run_ids: list[str]) -> NoSuchRunError:
    import difflib  # only on the way out with an error

    newest = sorted(run_ids, key=run_id_seconds, reverse=True)
    near = [run_id for run_id in newest if text and text in run_id]
    near = near or difflib.get_close_matches(text, newest[:500], n=_SHOWN, cutoff=0.5)
    message = f"no run {text!r} in {workspace.root}"
    if near:
        return NoSuchRunError(f"{message}; near it:{_listing(near)}", hint="runner history list")
    return NoSuchRunError(message, hint="runner history list")


def _listing(run_ids: list[str]) -> str:
    ordered = sorted(run_ids, key=lambda run_id: (-run_id_seconds(run_id), run_id))
    lines = [f"\n  {run_id}" for run_id in ordered[:_SHOWN]]
    rest = len(ordered) - _SHOWN
    return "".join(lines) + (f"\n  and {rest} more" if rest > 0 else "")
