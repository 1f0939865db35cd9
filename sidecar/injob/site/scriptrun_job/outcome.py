"""What must be on disk, and known to MPI, before an uncaught exception ends the script."""

import os
import sys
import time

from scriptrun_job import names

# A longer message is cut; the log has all of it. Too small cuts what tells failures apart, too large bloats records.
_MESSAGE_LIMIT = 10_000


def note(error: BaseException) -> None:
    """Writes the record of `error` and arms MPI's abort; never raises, and prints nothing."""
    try:
        if _is_failure(error):
            _write_record(error)
    except Exception:  # Without the record the failure is still told by exit code and log.
        pass
    try:
        _abort_mpi_at_exit(error)
    except Exception:  # Without the abort the supervisor stops the other ranks, a little later.
        pass


def _is_failure(error: BaseException) -> bool:
    """Whether the script fails by `error`; leaving with a code other than 0 counts: MPI may end us before it shows."""
    return not isinstance(error, SystemExit) or error.code not in (None, 0)


def _write_record(error: BaseException) -> None:
    path = os.environ.get(names.RAISED_FILE)
    if not path:
        return
    record = {
        "type": _type_name(type(error)),
        "message": _message(error),
        "at_ns": time.time_ns(),
        "monotonic_ns": time.monotonic_ns(),
    }
    import json

    temporary = "{}.{}.tmp".format(path, os.getpid())
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, json.dumps(record).encode("ascii"))
    finally:
        os.close(descriptor)
    os.replace(temporary, path)


def _type_name(kind: type) -> str:
    """As the last line of a traceback names it."""
    return (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else kind.__module__ + "." + kind.__qualname__
    )


def _message(error: BaseException) -> str:
    try:
        return str(error)[:_MESSAGE_LIMIT]
    except Exception:
        return "<exception str() failed>"


def _abort_mpi_at_exit(error: BaseException) -> None:
    """Has mpi4py call MPI_Abort while Python exits, so that ranks waiting for this one end instead of hanging."""
    if "mpi4py.MPI" not in sys.modules:
        return
    from mpi4py.run import set_abort_status  # type: ignore[import-not-found,unused-ignore]

    set_abort_status(error)
