"""`python -m sidecar report`: answers questions about this machine, one JSON line each, until its input ends.

    {"ask": "inspect", "place": name of the work directory in messages, "oldest_python": [3, 9], "reached_at": ip}
        -> {"findings": [...], "port", "addresses": [best first], "networks": {ip: network}}
    {"ask": "clock"}                    -> {"at_ns": the wall clock now}
    {"ask": "meet", "peers": [...]}     -> {"reached", "failed"}, as meeting.meet says

It listens all the while, so that the other machines that are asked at the same time can try to reach it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

from sidecar import meeting
from sidecar.report.finding import FAIL, Finding
from sidecar.report.machine import inspect_machine
from sidecar.report.place import inspect_place
from sidecar.report.programs import inspect_programs


def main(work_directory: str) -> int:
    """Serves standard input and output; changes nothing on the machine."""
    if not work_directory:
        sys.stderr.write("usage: python -m sidecar report, after a landing\n")
        return 2
    listener: Optional[meeting.Listener] = None
    problem = ""
    try:
        listener = meeting.Listener()
    except OSError as error:
        problem = str(error)
    for line in iter(sys.stdin.buffer.readline, b""):
        request = json.loads(line)
        if request["ask"] == "clock":
            answer: Dict[str, Any] = {"at_ns": time.time_ns()}
        elif request["ask"] == "meet":
            answer = meeting.meet(request["peers"], meeting.own_addresses())
        else:
            answer = _inspect(Path(work_directory), request, listener, problem)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    return 0


def _inspect(
    work: Path, request: Mapping[str, Any], listener: Optional[meeting.Listener], problem: str
) -> Dict[str, Any]:
    findings: List[Finding] = [
        *inspect_machine(request["oldest_python"]),
        *inspect_place(work, name=request["place"]),
        *inspect_programs(os.environ),
    ]
    if listener is None:
        findings.append(Finding("listening", FAIL, "no", f"no port can be opened: {problem}"))
    addresses, networks = meeting.order_addresses(meeting.own_addresses(), request.get("reached_at") or "")
    return {
        "findings": [finding.to_record() for finding in findings],
        "port": listener.port if listener is not None else None,
        "addresses": addresses,
        "networks": networks,
    }
