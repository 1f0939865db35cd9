"""The program that is sent to a bare node: says what the node is, takes the bundle in, and becomes the part asked for.

It travels as source over the connection itself (runner/transports/ssh/), so it imports nothing but the standard
library, and knows no name of a file: names come with the request. Standard input and output carry, in this order:

    node        a line: marker, then JSON: what the node is
    submitter   a line of JSON: work_directory, work_variable, folder, partial, manifest, sha256, size, argv
    node        a line of JSON: have, is_complete, work, bundle; or error, hint, is_final
    submitter   the bytes [have:size) of the bundle, unless it is complete; then the two lines above once more

Whoever lands at the same time on the same disk writes the same bytes to the same places: nobody needs a lock, and a
connection that breaks leaves a prefix that the next one goes on from.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys

# Where the sidecar is there already, importing is most of what a landing costs: typing is left to those who check
# types, and what only a fresh bundle needs is imported there.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Dict, NoReturn, Optional

# The same as in runner/transports/ssh/landing.py; whatever a shell printed before it is no word of ours.
MARKER = "@scriptrun-landing "
# A submitter that vanished without a word does not keep this process for longer. At 1 KB/s one packet takes half of it.
_SILENCE_LIMIT_S = 60
_PIECE_BYTES = 256 * 1024
_REQUEST_LIMIT_BYTES = 4 * 1024 * 1024


class _Refused(Exception):
    """Why the node cannot take the bundle in. `is_final`: trying again is of no use."""

    def __init__(self, message: str, hint: str, *, is_final: bool) -> None:
        super().__init__(message)
        self.answer = {"error": message, "hint": hint, "is_final": is_final}


def main() -> None:
    """Serves the submitter at the other end of standard input and output; does not return where all is well."""
    signal.alarm(_SILENCE_LIMIT_S)
    gc.disable()  # A start makes no garbage, and looking for it is a tenth of the time. An agent switches it on again.
    _say(describe(), prefix="\n" + MARKER)
    request = json.loads(_read_line())
    try:
        work = os.path.abspath(os.path.expanduser(request["work_directory"]))
        bundle = os.path.join(work, request["folder"])
        _take_in(request, work, bundle)
    except _Refused as refused:
        _say(refused.answer)
        sys.exit(1)
    except OSError as error:
        _say(_explain(error))
        sys.exit(1)
    _become(request, work, bundle)


def describe() -> Dict[str, Any]:
    """What the submitter must know of this node before it can choose a bundle."""
    name = os.uname()
    try:
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (OSError, ValueError):
        libc = ""  # musl, or no Linux
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
            boot_id = stream.read().strip()
    except OSError:
        boot_id = ""
    connection = os.environ.get("SSH_CONNECTION", "").split()
    return {
        "python": list(sys.version_info[:3]),
        "implementation": sys.implementation.name,
        "abiflags": getattr(sys, "abiflags", ""),
        "executable": sys.executable,
        "system": name.sysname,
        "machine": name.machine,
        "hostname": name.nodename,
        "libc": libc,
        "boot_id": boot_id,
        "home": os.path.expanduser("~"),
        "user": _user_name(),
        "uid": os.getuid(),
        "address": connection[2] if len(connection) == 4 else "",
    }


def _user_name() -> str:
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):
        return os.environ.get("USER", str(os.getuid()))


def _take_in(request: Dict[str, Any], work: str, bundle: str) -> None:
    """Returns once `bundle` is a whole bundle, and has told the submitter so."""
    answer = {"work": work, "bundle": bundle}
    if _is_whole(bundle, request["manifest"]):
        os.utime(bundle)  # A clean-up at this moment leaves alone what was touched just now.
        _say({**answer, "have": request["size"], "is_complete": True})
        return
    partial = os.path.join(work, request["partial"])
    for _ in range(2):
        for folder in (work, os.path.dirname(partial)):
            os.makedirs(folder, mode=0o700, exist_ok=True)
        if _receive(request, partial, answer):
            _unpack(request, partial, bundle)
            _say({**answer, "have": request["size"], "is_complete": True})
            return
    raise _Refused(f"the bundle arrived damaged twice in {partial}", "is the node's disk sound?", is_final=False)


def _receive(request: Dict[str, Any], partial: str, answer: Dict[str, Any]) -> bool:
    """Brings `partial` to its full size; False, and it is gone, where its content is not what was announced."""
    import hashlib

    size = int(request["size"])
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        have = os.fstat(descriptor).st_size
        if have > size:
            os.ftruncate(descriptor, 0)
            have = 0
        _say({**answer, "have": have, "is_complete": False})
        while have < size:
            piece = os.read(0, min(_PIECE_BYTES, size - have))
            if not piece:
                sys.exit(1)  # The submitter is gone; the next one goes on from here.
            signal.alarm(_SILENCE_LIMIT_S)
            written = 0
            while written < len(piece):
                written += os.pwrite(descriptor, piece[written:], have + written)
            have += len(piece)
        digest = hashlib.sha256()
        offset = 0
        while offset < size:
            piece = os.pread(descriptor, _PIECE_BYTES, offset)
            digest.update(piece)
            offset += len(piece) or size
    finally:
        os.close(descriptor)
    if digest.hexdigest() == request["sha256"]:
        return True
    _unlink(partial)
    return False


def _unpack(request: Dict[str, Any], partial: str, bundle: str) -> None:
    """Lays the bundle out beside its place and renames it there: the folder is never seen half full."""
    import shutil
    import zipfile

    fresh = f"{bundle}.{os.getpid()}-{os.urandom(4).hex()}.new"
    try:
        try:
            with zipfile.ZipFile(partial) as archive:
                archive.extractall(fresh)  # Checked by hash: it is ours, byte for byte.
        except FileNotFoundError:
            if not _is_whole(bundle, request["manifest"]):  # Another landing was faster, and removed the archive.
                raise
        else:
            _sync_tree(fresh)
            _put_in_place(fresh, bundle, request["manifest"])
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    _unlink(partial)


def _put_in_place(fresh: str, bundle: str, manifest: str) -> None:
    import shutil

    for _ in range(3):
        try:
            os.rename(fresh, bundle)
        except OSError:
            if _is_whole(bundle, manifest):
                return
            if not os.path.isdir(bundle):
                raise
            broken = f"{fresh[: -len('.new')]}.broken"
            try:
                os.rename(bundle, broken)
            except FileNotFoundError:
                pass  # Another landing moved it away.
            shutil.rmtree(broken, ignore_errors=True)
        else:
            _sync_folder(os.path.dirname(bundle))
            return


def _is_whole(bundle: str, manifest: str) -> bool:
    """Whether every file of the bundle is there with its size; what lies beside them (bytecode) does not matter."""
    try:
        with open(os.path.join(bundle, manifest), encoding="utf-8") as stream:
            sizes = json.load(stream)
        return all(os.stat(os.path.join(bundle, path)).st_size == size for path, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


def _sync_tree(folder: str) -> None:
    for path, _, names in os.walk(folder):
        for name in names:
            descriptor = os.open(os.path.join(path, name), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        _sync_folder(path)


def _sync_folder(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _explain(error: OSError) -> Dict[str, Any]:
    """What the submitter tells its person of a disk that does not take the bundle."""
    import errno

    place = error.filename or "the work directory"
    text = f"{place}: {error.strerror or error}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return {"error": text, "hint": "free some space there, or name another work_directory", "is_final": False}
    is_final = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
    return {"error": text, "hint": "name a work_directory that the login may write to", "is_final": is_final}


def _become(request: Dict[str, Any], work: str, bundle: str) -> NoReturn:
    """Goes on as the part of the sidecar that was asked for, on the same standard input and output.

    Without exec: a second start of Python would be a third of what reaching a node costs it.
    """
    os.chdir(bundle)
    os.environ[request["work_variable"]] = work
    signal.alarm(0)
    sys.path[:] = [bundle, *(path for path in sys.path if path)]
    path = os.path.join(bundle, "sidecar", "__main__.py")
    sys.argv = [path, *request["argv"]]
    with open(path, encoding="utf-8") as stream:
        program = compile(stream.read(), path, "exec")
    exec(program, {"__name__": "__main__", "__file__": path})  # noqa: S102 (its hash was checked)
    sys.exit(0)


def _say(record: Dict[str, Any], *, prefix: str = "") -> None:
    line = f"{prefix}{json.dumps(record)}\n".encode("ascii")
    while line:
        line = line[os.write(1, line) :]


def _read_line() -> bytes:
    """One line of standard input, and not a byte of what follows it."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte: Optional[bytes] = os.read(0, 1)
        if not byte or len(line) > _REQUEST_LIMIT_BYTES:
            sys.exit(1)
        line += byte
    return bytes(line)


if __name__ == "__main__":
    main()
