"""What `Run.get_details` says: one dictionary under the keys of Azure ML v1 (reference azureml-v1.md 2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runner.errors import UsageError
from runner.history.run_record import RunRecord
from runner.history.status import RunStatus
from runner.sdk.run_files import list_log_names
from sidecar.contract.layout import RunLayout

NO_ERROR_KNOWN = "Detailed error not set on the Run. Please check the logs for details."

_USER_ERROR, _SERVICE_ERROR = "UserError", "ServiceError"
# Nothing that the user's program did: a phase around it went wrong, or the machine lost it.
_NOT_THE_PROGRAM = frozenset({"phase", "lost"})


def details_of(layout: RunLayout, record: RunRecord) -> dict[str, Any]:
    """The details of a run as they are now; `error` is a key of a Failed run only, as in v1."""
    details: dict[str, Any] = {
        "runId": record.run_id,
        "target": record.target,
        "status": record.status.value,
        "startTimeUtc": _zulu(record.start_time_utc),
        "endTimeUtc": _zulu(record.end_time_utc),
        "services": {},
        "warnings": [{"source": "runner", "message": text} for text in record.warnings],
        "properties": dict(record.properties),
        "inputDatasets": [],
        "outputDatasets": [],
        "runDefinition": _definition(record),
        "logFiles": {name: (layout.root / name).absolute().as_uri() for name in list_log_names(layout)},
        "submittedBy": record.user_id,
    }
    if record.status is RunStatus.FAILED:
        details["error"] = error_of(record)
    return details


def error_of(record: RunRecord) -> dict[str, Any] | str:
    """Why a run failed, in v1's shape; a text where the record does not say."""
    if not record.failure:
        return NO_ERROR_KNOWN
    first: Mapping[str, Any] = record.failure.get("first") or {}
    error = {
        "code": _SERVICE_ERROR if first.get("kind") in _NOT_THE_PROGRAM else _USER_ERROR,
        "message": _message(record.failure, first),
        "target": first.get("process_name"),
        "details": [_other(other) for other in record.failure.get("others") or () if other.get("outcome") == "failed"],
        "debugInfo": _debug_info(first),
    }
    return {"error": error, "time": first.get("at"), "location": first.get("node_id")}


def _definition(record: RunRecord) -> dict[str, Any]:
    """The request in the keys of a `.runconfig`; of a request that this version cannot read, only the script."""
    from runner.spec.request import RunRequest
    from runner.spec.runconfig import runconfig_values

    try:
        values = runconfig_values(RunRequest.from_record(record.request))
    except (KeyError, TypeError, UsageError):
        return {"script": record.script_name}
    return {**values, "nodeCount": len(record.nodes) or 1}


def _message(failure: Mapping[str, Any], first: Mapping[str, Any]) -> str:
    exception = first.get("exception")
    if exception:
        return f"User program failed with {exception.get('type')}: {exception.get('message')}"
    if first.get("kind") == "exit_code":
        return f"User program failed with SystemExit: {first.get('exit_code')}"
    return str(failure.get("summary") or NO_ERROR_KNOWN)


def _debug_info(first: Mapping[str, Any]) -> dict[str, Any]:
    exception = first.get("exception") or {}
    stack = first.get("traceback") or "\n".join(first.get("last_lines") or ())
    return {
        "type": exception.get("type") or first.get("signal") or first.get("kind"),
        "message": exception.get("message"),
        "stackTrace": stack,
        "log": first.get("log"),
    }


def _other(other: Mapping[str, Any]) -> dict[str, Any]:
    how = other.get("signal") or f"exit code {other.get('exit_code')}"
    return {"code": _USER_ERROR, "message": f"{other.get('process_name')} failed after it: {how}"}


def _zulu(time: str | None) -> str | None:
    return None if time is None else time.replace("+00:00", "Z")
