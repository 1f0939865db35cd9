"""Brings outputs to the places that a person named for them, once they are in the run: nothing there is lost.

outputs/NAME/PATH of the run -> DESTINATION/PATH; of another node, outputs/NODE/NAME/PATH -> DESTINATION/NODE/PATH
"""

from __future__ import annotations

import filecmp
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from runner.errors import MachineError
from runner.history.manifest import Patience
from runner.nodes import place
from runner.phases.phase import RunContext
from runner.spec.data import OutputSpec
from runner.store import addresses

# How often somebody who wants the run to end is heard while a server takes its time.
_LOOK_S = 0.5


def bring(context: RunContext, patience: Patience) -> tuple[str, ...]:
    """Brings every output of the run to its destination; may be repeated. Returns what a person must know.

    Nothing is raised: whatever a destination does not take stays in the run. An address that takes its time is given
    up where a person has canceled the run.
    """
    warnings: list[str] = []
    for output in context.request.data.outputs:
        files = list(_files(context, output))
        try:
            if addresses.is_url(output.destination):
                warnings += _send_all(output, files, patience)
            else:
                warnings += _copy_all(context, output, files)
        except (OSError, MachineError) as error:
            why = error.strerror or str(error) if isinstance(error, OSError) else error.message
            warnings.append(
                f"output {output.name}: not all of it could be brought to {output.destination}: {why}; "
                f"its files are in the run, below {output.folder}"
            )
    return tuple(warnings)


def _files(context: RunContext, output: OutputSpec) -> Iterator[tuple[str, Path]]:
    """(path below the destination, file of the run) of each file that a node wrote into the output."""
    outputs = context.run.outputs
    tops = {"": outputs / output.name}
    node_ids = [node.node_id for node in context.nodes]
    for name in sorted(os.listdir(outputs)) if outputs.is_dir() else ():
        node_id, _, number = name.rpartition(".")
        if name != output.name and (name in node_ids or (node_id in node_ids and number.isdigit())):
            tops[name] = outputs / name / output.name
    for top, folder in tops.items():
        for inner, _, names in os.walk(folder):
            for name in sorted(names):
                path = Path(inner, name)
                yield os.path.normpath(os.path.join(top, os.path.relpath(path, folder))), path


def _copy_all(context: RunContext, output: OutputSpec, files: list[tuple[str, Path]]) -> list[str]:
    kept = []
    for path, source in files:
        target = Path(output.destination, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            if not os.path.lexists(target):
                os.symlink(os.readlink(source), target)
            continue
        if target.is_file() and filecmp.cmp(source, target, shallow=False):
            continue
        new = target.with_name(f".{context.run_id}.{os.getpid()}.part")
        try:
            shutil.copy2(source, new)
            if not output.overwrites and os.path.lexists(target):
                kept.append(str(place.put_aside(target.parent.resolve(), target.name)))
            os.replace(new, target)
        finally:
            new.unlink(missing_ok=True)
    if not kept:
        return []
    return [
        f"output {output.name}: other files of the same names were at {output.destination}; they are kept there as "
        f"{_first_of(kept)}"
    ]


def _send_all(output: OutputSpec, files: list[tuple[str, Path]], patience: Patience) -> list[str]:
    """Sends in a thread: a server that never answers must not keep a canceled run from its end."""
    left: list[str] = []
    problems: list[MachineError] = []

    def send() -> None:
        try:
            for path, source in files:
                if source.is_file() and not addresses.send(
                    str(source), f"{output.destination.rstrip('/')}/{path}", overwrite=output.overwrites
                ):
                    left.append(path)
        except MachineError as error:
            problems.append(error)

    thread = threading.Thread(target=send, name=f"output-{output.name}", daemon=True)
    thread.start()
    while thread.is_alive() and not patience.is_over:
        thread.join(_LOOK_S)
    if problems:
        raise problems[0]
    if thread.is_alive():
        raise MachineError("the run was canceled meanwhile")
    if not left:
        return []
    return [
        f"output {output.name}: not sent: {_first_of(left)}; other files of the same names are at {output.destination} "
        f"(as_upload(overwrite=True) replaces them); these are in the run, below {output.folder}"
    ]


def _first_of(paths: list[str]) -> str:
    """`a.csv and 3 more`."""
    return paths[0] + (f" and {len(paths) - 1} more" if len(paths) > 1 else "")
