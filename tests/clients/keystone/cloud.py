"""The job API of a cloud that asks Keystone about each token, as the real one does."""

import dataclasses
import datetime
import json
import re
import threading
import time
import urllib.error
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

JOB = re.compile(r"/v1/([^/]+)/jobs/([^/?]+)")


@dataclasses.dataclass
class Known:
    """A good token: its project, its end by the wall clock, and when Keystone was asked."""

    project: str
    ends: float
    asked: float


class Cloud(ThreadingHTTPServer):
    """Jobs whose id begins with `running` run until `finish`; all others have succeeded."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, keystone):
        super().__init__(("127.0.0.1", 0), Answers)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.keystone = keystone
        # For how many seconds a token that was good is not asked about again.
        self.remember = 0.0
        self.requests = 0
        self.rejections = 0
        # All tokens that were shown. None for those that are not good: they never will be.
        self.tokens = {}
        self.latest = None
        self.finished = set()
        self.asking = threading.Lock()
        self.counting = threading.Lock()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.shutdown()
        self.server_close()

    def finish(self, job):
        self.finished.add(job)

    def know(self, token):
        """One question to Keystone serves all requests that came before it was asked."""
        came = time.monotonic()
        with self.asking:
            known = self.tokens.get(token)
            if token in self.tokens and (known is None or known.ends <= time.time()):
                return None
            if known is None or known.asked + self.remember < came:
                asked = time.monotonic()
                found = self.keystone.token(token)
                known = found and Known(found["project"]["id"], ends(found), asked)
                self.tokens[token] = known
            if known:
                self.latest = token
            return known

    def answer(self, path, token):
        """Returns the status and the body."""
        with self.counting:
            self.requests += 1
        asked = JOB.fullmatch(path)
        if not asked:
            return gateway_error(404, "APIGW.0101", "The API does not exist")
        try:
            known = token and self.know(token)
        except OSError:
            return gateway_error(503, "APIGW.0613", "The IAM service is unavailable")
        if not known:
            with self.counting:
                self.rejections += 1
            return gateway_error(401, "APIGW.0307", "The token must be updated")
        project, job = asked.groups()
        if known.project != project:
            message = "The project ID in the URL does not match the project ID in the token."
            return 400, {"error": {"code": "Common.0018", "message": message}}
        running = job.startswith("running") and job not in self.finished
        status = "RUNNING" if running else "SUCCESS"
        return 200, {"job_id": job, "job_type": "bksCreateBackup", "status": status, "entities": {}}


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer goes out in one piece.
    wbufsize = -1

    def do_GET(self):
        # What is not read of a request would be taken for the next one.
        self.rfile.read(int(self.headers.get("content-length", 0)))
        status, body = self.server.answer(self.path, self.headers.get("x-auth-token"))
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def ends(token):
    return datetime.datetime.fromisoformat(token["expires_at"]).timestamp()


def gateway_error(status, code, message):
    return status, {"error_code": code, "error_msg": message, "request_id": uuid.uuid4().hex}
