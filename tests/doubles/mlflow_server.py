"""An MLflow server of this process: the requests that the mirror makes, kept in memory, refused as MLflow refuses.

As one over plain files it keeps every value that it is sent, equal ones too, and gives whole histories.
"""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

_API = "/api/2.0/mlflow/"
_FILES = "/api/2.0/mlflow-artifacts/artifacts/"


@dataclass
class KeptRun:
    """A run as the server has it."""

    info: dict[str, Any]
    tags: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)

    def values(self, name: str) -> list[tuple[Any, int]]:
        """(value, step) of every value of one metric."""
        return [(metric["value"], metric["step"]) for metric in self.metrics if metric["key"] == name]


class MlflowServerDouble:
    """Listens on a port of its own once started; a metric called `bad` is refused, and all that comes with it."""

    def __init__(self, port: int = 0) -> None:
        self.runs: dict[str, KeptRun] = {}
        self.experiments: dict[str, str] = {}
        self.files: dict[str, bytes] = {}
        self.batch_sizes: list[int] = []
        self.refuse_all_with: int | None = None
        self.redirect_to: str | None = None
        self.unanswered_batches: set[int] = set()
        self._batch_count = 0
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                double.answer(self)

            def do_POST(self) -> None:
                double.answer(self)

            def do_PUT(self) -> None:
                double.answer(self)

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops listening."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def run_of(self, run_id: str) -> KeptRun:
        """The run that was made for one of ours."""
        (found,) = [run for run in self.runs.values() if run.tags.get("scriptrun.run_id") == run_id]
        return found

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answers one request."""
        content = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        parts = urlsplit(request.path)
        if self.redirect_to is not None:
            request.send_response(302)
            request.send_header("Location", self.redirect_to)
            request.end_headers()
            return
        if self.refuse_all_with is not None:
            status, found = self.refuse_all_with, {"error_code": "X", "message": "not now"}
        elif parts.path.startswith(_FILES):
            self.files[unquote(parts.path.removeprefix(_FILES))] = content
            status, found = 200, {}
        else:
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            body = json.loads(content) if content else query
            try:
                status, found = (
                    200,
                    getattr(self, "_" + parts.path.removeprefix(_API).replace("/", "_").replace("-", "_"))(body),
                )
            except LookupError as error:
                status, found = 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": str(error)}
            except ValueError as error:
                status, found = 400, {"error_code": "INVALID_PARAMETER_VALUE", "message": str(error)}
        if parts.path.endswith("log-batch"):
            self._batch_count += 1
            if self._batch_count in self.unanswered_batches:
                return  # Taken, and the answer lost.
        text = json.dumps(found).encode()
        request.send_response(status)
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)

    def _experiments_get_by_name(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"experiment": {"experiment_id": self.experiments[body["experiment_name"]]}}

    def _experiments_create(self, body: dict[str, Any]) -> dict[str, Any]:
        self.experiments[body["name"]] = str(len(self.experiments) + 1)
        return {"experiment_id": self.experiments[body["name"]]}

    def _runs_search(self, body: dict[str, Any]) -> dict[str, Any]:
        wanted = body["filter"].split("'")[1]
        return {"runs": [{"info": run.info} for run in self.runs.values() if run.tags["scriptrun.run_id"] == wanted]}

    def _runs_create(self, body: dict[str, Any]) -> dict[str, Any]:
        run_id = f"{len(self.runs):032x}"
        info = {
            "run_id": run_id,
            "run_name": body["run_name"],
            "status": "RUNNING",
            "experiment": body["experiment_id"],
        }
        info["artifact_uri"] = f"mlflow-artifacts:/{body['experiment_id']}/{run_id}/artifacts"
        self.runs[run_id] = KeptRun(info, {tag["key"]: tag["value"] for tag in body["tags"]})
        return {"run": {"info": info}}

    def _runs_get(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"run": {"info": self.runs[body["run_id"]].info}}

    def _metrics_get_history(self, body: dict[str, Any]) -> dict[str, Any]:
        kept = self.runs[body["run_id"]].metrics
        return {"metrics": [metric for metric in kept if metric["key"] == body["metric_key"]]}

    def _runs_update(self, body: dict[str, Any]) -> dict[str, Any]:
        self.runs[body["run_id"]].info.update(body)
        return {}

    def _runs_delete_tag(self, body: dict[str, Any]) -> dict[str, Any]:
        del self.runs[body["run_id"]].tags[body["key"]]
        return {}

    def _runs_log_batch(self, body: dict[str, Any]) -> dict[str, Any]:
        run = self.runs[body["run_id"]]
        if any(metric["key"] == "bad" for metric in body["metrics"]):
            raise ValueError("bad is no metric")
        if len(body["metrics"]) > 1000 or len(body["params"]) > 100 or len(body["tags"]) > 100:
            raise ValueError("too many at once")
        self.batch_sizes.append(len(body["metrics"]))
        run.metrics += body["metrics"]
        run.params.update((param["key"], param["value"]) for param in body["params"])
        run.tags.update((tag["key"], tag["value"]) for tag in body["tags"])
        return {}
