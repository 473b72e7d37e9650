"""A second frontend: HTTP and JSON, on the public API alone. What the command can do, anybody can.

POST /jobs {"call": "backup", "repository": URL, ...}       -> {"job": n}
GET /jobs/n/events?from=k                               -> {"events": [...], "done": bool}
POST /jobs/n/answer {"question": id, "choice": "yes"}   POST /jobs/n/cancel
GET /jobs/n/result                -> {"result": {...}} or {"error": {"id", "message", "next_step"}}
"""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attrs

from holdstill import BackupRequest, Engine, HoldstillError, Job, Question, RestoreRequest

REQUESTS = {"backup": BackupRequest, "restore": RestoreRequest}


class Running:
    """A job, and everything it told so far, each thing as JSON."""

    def __init__(self, job: Job[Any]) -> None:
        self.job = job.start()
        self.told: list[dict[str, Any]] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for told in self.job.events():
            name = "question" if isinstance(told, Question) else told.name
            self.told.append({"event": name, **attrs.asdict(told)})

    def outcome(self) -> dict[str, Any]:
        try:
            return {"result": attrs.asdict(self.job.result())}
        except HoldstillError as error:
            return {"error": {"id": error.id, "message": str(error), "next_step": error.next_step}}


class Frontend(ThreadingHTTPServer):
    """Serves one engine on a free port of the loopback."""

    daemon_threads = True

    def __init__(self, engine: Engine) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.engine = engine
        self.jobs: list[Running] = []

    def start_job(self, call: str, repository: str, **wishes: Any) -> dict[str, Any]:
        request = REQUESTS[call](**wishes)
        self.jobs.append(Running(Job(getattr(self.engine, call), repository, request)))
        return {"job": len(self.jobs) - 1}


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Frontend

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        if self.path == "/jobs":
            return self._reply(self.server.start_job(**body))
        running, action = self._job()
        if action == "answer":
            running.job.answer(body["question"], body["choice"])
        elif action == "cancel":
            running.job.cancel()
        return self._reply({})

    def do_GET(self) -> None:
        running, action = self._job()
        if action == "result":
            return self._reply(running.outcome())
        done = running.job.done  # asked before what it told is taken: nothing told is missed
        return self._reply({"events": running.told[int(self.path.rpartition("=")[2] or 0) :], "done": done})

    def _job(self) -> tuple[Running, str]:
        number, action = re.match(r"/jobs/(\d+)/(\w+)", self.path).groups()
        return self.server.jobs[int(number)], action

    def _reply(self, value: dict[str, Any]) -> None:
        body = json.dumps(value, default=str).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Quiet."""
