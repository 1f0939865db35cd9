"""Which files of a node's copy of the run folder travel to the real one, and when; both ends hold to this list.

| files | travel |
|---|---|
| azureml-logs/ 20_ 65_ 70_ 75_, logs/, metrics, time indexes | as they grow |
| outputs/, artifacts/, children/ | once job release has collected them |
| everything else | never: the controller writes it itself |
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, Mapping, NamedTuple, Optional

from sidecar.contract.layout import (
    ARTIFACTS,
    AZUREML_LOGS,
    CHILDREN,
    OUTPUTS,
    STATE,
    USER_LOGS,
    RunLayout,
    is_driver_log,
    is_process_name,
)

# Folders whose files are sent once nothing changes them any more.
FINAL_FOLDERS = (OUTPUTS, ARTIFACTS, CHILDREN)
# One name on every common file system (NAME_MAX), and a whole path that still fits below a run folder (PATH_MAX).
_NAME_LIMIT_BYTES = 255
_PATH_LIMIT_BYTES = 3000
_SHOWN_LETTERS = 200
_HERE = RunLayout.at("")
_AT_RELEASE = tuple(f"{top}/" for top in FINAL_FOLDERS)
# What the controller writes into logs/ itself.
_OWN = frozenset({str(_HERE.failure), str(_HERE.manifest)})


def may_travel(path: str, node_id: str) -> bool:
    """Whether the node may send the file `path` (relative to the run folder); False for anything that leaves it."""
    if not path or "\0" in path or len(path.encode("utf-8", "surrogateescape")) > _PATH_LIMIT_BYTES:
        return False
    parts = path.split("/")
    if any(part in ("", ".", "..") or _is_long(part) for part in parts):
        return False
    if parts[0] == AZUREML_LOGS:
        own = (_HERE.job_prep_log(node_id), _HERE.job_post_log(node_id), _HERE.image_build_log, _HERE.mpi_log)
        return path in map(str, own) or (len(parts) == 2 and is_driver_log(parts[1]))
    if parts[0] == STATE:
        return path == str(_HERE.seal(node_id)) or _is_index(path) or _is_metrics(path)
    if parts[0] == CHILDREN:
        return len(parts) > 3 and parts[2] in (USER_LOGS, OUTPUTS, ARTIFACTS)
    return parts[0] in (USER_LOGS, OUTPUTS, ARTIFACTS) and len(parts) > 1 and path not in _OWN


def _is_metrics(path: str) -> bool:
    """Whether `path`, relative to a run folder, is the metrics file of a process, or the mark of its loss."""
    folder, _, name = path.rpartition("/")
    stem, dot, ending = name.rpartition(".")
    return folder == str(_HERE.metrics) and dot + ending in (".jsonl", ".lost") and is_process_name(stem)


def _is_index(path: str) -> bool:
    """Whether `path`, relative to a run folder, is the time index of a numbered log."""
    folder, _, name = path.rpartition("/")
    return folder == str(_HERE.time_indexes) and name.endswith(".idx") and name[0] != "."


def _is_long(part: str) -> bool:
    return len(part.encode("utf-8", "surrogateescape")) > _NAME_LIMIT_BYTES


def waits_for_release(path: str) -> bool:
    """Whether the file is sent only once it is final: a checkpoint that is rewritten would be sent again and again."""
    return path.startswith(_AT_RELEASE)


def is_sealed(path: str) -> bool:
    """Whether the file must arrive whole for the run to be complete; a time index may miss its last entries."""
    return not _is_index(path) and not path.startswith(f"{_HERE.seals}/")


class SealedFile(NamedTuple):
    """What the node says of one file at the end. `link` is the target of a symbolic link, None for a file.

    `problem`: why the node itself cannot read it; then nothing of it is waited for.
    """

    path: str
    size: int
    sha256: str
    mode: int
    link: Optional[str] = None
    problem: Optional[str] = None

    def to_record(self) -> Dict[str, Any]:
        """As it stands in a seal."""
        return self._asdict()


def sealed_files(records: Iterable[Mapping[str, Any]], node_id: str) -> Optional[Dict[str, SealedFile]]:
    """The files of a seal by path; None while the seal has not arrived to its end. Raises ValueError for nonsense."""
    found: Dict[str, SealedFile] = {}
    for record in records:
        if "count" in record:
            return found if record["count"] == len(found) else None
        try:
            sealed = SealedFile(**record)
        except TypeError as error:
            raise ValueError(f"not a sealed file: {error}") from error
        kinds = (("path", str), ("size", int), ("sha256", str), ("link", (str, type(None))))
        if not all(isinstance(record.get(name), kind) for name, kind in kinds):
            raise ValueError(f"not a sealed file: {str(record)[:_SHOWN_LETTERS]}")
        if not may_travel(sealed.path, node_id):
            raise ValueError(f"{sealed.path!r} may not travel")
        found[sealed.path] = sealed
    return None
