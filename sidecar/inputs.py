"""The data of a job on its node: whether they are there already, their lay-out, and the variables that say where.

listing --same path, sizes and times here?--> used in place
                                    else --> objects/ (shipped) --links--> sets/<id>/, read-only, for all runs

A content that somebody has written to is seen without reading anything (right_contents.py), and comes anew.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Set

from sidecar.contract import publish, snapshot_manifest
from sidecar.contract.input_listing import Listing, decode
from sidecar.contract.layout import NodeLayout
from sidecar.contract.orders import ORDER_NAMES, NodePlan, Verb
from sidecar.contract.stores import InputsLayout
from sidecar.right_contents import hash_of, is_right, mark_right

_FOLDER, _OPEN_FOLDER = 0o555, 0o755
# What a file system says that has no (or no more) links to one file.
_NO_LINK = frozenset({errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EXDEV, errno.ENOSYS})


class BadInput(Exception):
    """The node's store does not have what it should; the message is for a person."""


def look(plan: NodePlan, layout: NodeLayout) -> List[str]:
    """Which data sets of the job the node has under the same path; noted for `provide`. Raises OSError."""
    store = plan.input_store
    there = []
    for listing_id in dict.fromkeys(str(given["listing"]) for given in plan.data["inputs"]):
        if is_in_place(read_listing(store, listing_id)):
            there.append(listing_id)
    publish.write_whole(layout.inputs_found, publish.to_json({"in_place": there}))
    return there


def read_listing(store: InputsLayout, listing_id: str) -> Listing:
    """The listing with that id. Raises BadInput where it has not come."""
    try:
        return decode(store.listing(listing_id).read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {store.listing(listing_id)}: {error}") from error


def is_in_place(listing: Listing) -> bool:
    """Whether the same files are at the same path here: all names, sizes and times of change, and no file more."""
    try:
        for file in listing.files:
            status = os.stat(os.path.join(listing.root, file.path))
            if (status.st_size, status.st_mtime_ns) != (file.size, file.mtime_ns) or not stat.S_ISREG(status.st_mode):
                return False
    except (OSError, ValueError):
        return False
    if listing.file is not None:
        return True
    return os.path.isdir(listing.root) and not _has_more(listing)


def _has_more(listing: Listing) -> bool:
    count = 0
    for folder, _, names in os.walk(listing.root, followlinks=True):
        count += sum(os.path.isfile(os.path.join(folder, name)) for name in names)
        if count > len(listing.files):
            return True
    return False


def provide(plan: NodePlan, layout: NodeLayout, say: Callable[[str], None]) -> None:
    """Has every input at a path of this node and a folder for every output, and notes the variables with the paths.

    May be repeated. Raises BadInput where a content is wrong; OSError passes.
    """
    if not plan.data:
        return
    variables = {}
    for variable, folder in plan.data["outputs"].items():
        (layout.work / folder).mkdir(parents=True, exist_ok=True)
        variables[variable] = str(layout.work / folder)
    if plan.has_inputs:
        order = publish.read_record(layout.order(ORDER_NAMES[Verb.PREPARE])) or {}
        found = publish.read_record(layout.inputs_found) or {"in_place": []}
        places = _places(plan.input_store, plan, order.get("sets", {}), set(found["in_place"]), say)
        for given in plan.data["inputs"]:
            variables.update(dict.fromkeys(given["variables"], places[str(given["listing"])]))
    publish.write_whole(layout.data_variables, publish.to_json(variables))


def _places(
    store: InputsLayout, plan: NodePlan, sets: Mapping[str, str], in_place: Set[str], say: Callable[[str], None]
) -> Dict[str, str]:
    places: Dict[str, str] = {}
    for given in plan.data["inputs"]:
        listing_id = str(given["listing"])
        if listing_id not in places:
            listing = read_listing(store, listing_id)
            if listing_id in in_place:
                places[listing_id] = listing.place
            else:
                folder = lay_out(store, sets[listing_id])
                places[listing_id] = str(folder / listing.file if listing.file is not None else folder)
        say(f"Data set {given['name']}: {places[listing_id]}")
    return places


def lay_out(store: InputsLayout, set_id: str) -> Path:
    """Has the data set with that id in a folder of its own, and returns it.

    What is right there stays as it is, so that it may be repeated, and jobs that read it are not disturbed. Raises
    BadInput where the store lacks something; OSError passes.
    """
    try:
        entries = snapshot_manifest.decode(store.manifest(set_id).read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {store.manifest(set_id)}: {error}") from error
    root = store.folder(set_id)
    with _alone(store.lock(set_id)):
        folders = {str(root)}
        for entry in entries:
            inside = [*snapshot_manifest.ancestors(entry["path"]), *([entry["path"]] if "dir" in entry else [])]
            folders.update(os.path.join(root, folder) for folder in inside)
        missing = [
            entry for entry in entries if "dir" not in entry and not is_right(root / entry["path"], entry["size"])
        ]
        if missing or not all(map(os.path.isdir, folders)):
            for folder in sorted(folders):
                os.makedirs(folder, exist_ok=True)
                os.chmod(folder, _OPEN_FOLDER)
            for entry in missing:
                _place(_checked(store, entry), root / entry["path"])
            # Contents were not made durable one by one: a hundred thousand small files would take minutes.
            os.sync()
        for folder in folders:
            os.chmod(folder, _FOLDER)
    return root


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Waits for the others that lay out the same data set: the second finds it done."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _checked(store: InputsLayout, entry: Mapping[str, Any]) -> Path:
    """The content of a file, which has its hash for certain."""
    sha256, place = str(entry["sha256"]), store.object(str(entry["sha256"]))
    if is_right(place, entry["size"]):
        return place
    unchecked = store.unchecked(sha256)
    try:
        if hash_of(unchecked) != sha256:
            unchecked.unlink()
            raise BadInput(f"the content of {entry['path']!r} did not come as it was sent; it was removed here")
        mark_right(unchecked)
        os.replace(unchecked, place)
    except FileNotFoundError:
        if not is_right(place, entry["size"]):  # Else another run was faster, for a data set that has it as well.
            raise BadInput(f"the content of {entry['path']!r} ({place}) is not there, or was changed") from None
    return place


def _place(source: Path, target: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(target)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        import shutil  # Needed on rare file systems only.

        shutil.copyfile(source, target)
        mark_right(target)
