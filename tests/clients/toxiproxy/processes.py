"""`jobgate simulate`, toxiproxy and gateways, started for a test."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

BIN = os.environ["JOBGATE_BIN"]
TOXIPROXY = os.environ["TOXIPROXY_BIN"]
TOKEN = "toxic-token"

# Only a fault reaches it.
LIMIT = 120

# The loopback is nobody's proxy's business.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))

# What has to be as it was before, once a fault is over and the clients are gone.
GAUGES = (
    "jobgate_tasks", "jobgate_watchers", "jobgate_pollers", "jobgate_connections",
    "jobgate_streams", "jobgate_calls_served", "jobgate_calls_waiting", "process_open_fds",
)


def until(condition, what, limit=LIMIT):
    """Asks until the condition holds, and returns its value."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {limit} s: {what}")


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


def send(url, body=None, method=None, headers=()):
    """Sends JSON, and returns the JSON that is answered."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, dict(headers), method=method)
    with DIRECT.open(request, timeout=30) as answer:
        return json.loads(answer.read() or b"null")


class Process:
    """A program with its output in a file: nobody reads it while a test runs."""

    def __init__(self, *command, env=None):
        self.folder = tempfile.TemporaryDirectory(prefix="toxic-")
        self.log = pathlib.Path(self.folder.name, "log")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, **(env or {})}
            )

    def said(self, pattern):
        """Waits for words, and returns the parts of them that are marked."""
        found = until(
            lambda: re.search(pattern, self.log.read_text()) or self.process.poll() is not None,
            pattern,
        )
        if found is True:
            raise AssertionError(f"it has ended: {self.log.read_text()}")
        return found.groups()

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
        try:
            return self.process.wait(LIMIT)
        finally:
            self.folder.cleanup()


class Simulator(Process):
    def __init__(self, script, listen="127.0.0.1:0"):
        with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(script)
            file.flush()
            super().__init__(BIN, "simulate", "--listen", listen, "--script", file.name)
            self.address, = self.said(r"REST API.*http://(127\.0\.0\.\d:\d+)")

    def backup(self, token=TOKEN):
        """Starts a job; returns its id."""
        body = {"backup": {"volume_id": "7e5fdc5a-5e36-4b22-8bcc-7f17037290cc", "name": "b"}}
        url = f"http://{self.address}/v2/p/cloudbackups"
        return send(url, body, headers={"x-auth-token": token})["job_id"]


class Toxiproxy(Process):
    def __init__(self):
        port = free_port()
        super().__init__(TOXIPROXY, "-host", "127.0.0.1", "-port", str(port))
        self.url = f"http://127.0.0.1:{port}"
        until(self.answers, "toxiproxy answers")

    def answers(self):
        try:
            return send(f"{self.url}/proxies") is not None
        except OSError:
            return False

    def proxy(self, name, upstream):
        return Proxy(self.url, name, upstream)


class Proxy:
    """A way through toxiproxy. Downstream is towards the one who connected."""

    def __init__(self, api, name, upstream):
        body = {"name": name, "listen": "127.0.0.1:0", "upstream": upstream, "enabled": True}
        self.address = send(f"{api}/proxies", body)["listen"]
        self.url = f"{api}/proxies/{urllib.parse.quote(name)}"

    @contextlib.contextmanager
    def toxic(self, kind, stream="downstream", **attributes):
        body = {"name": "it", "type": kind, "stream": stream, "attributes": attributes}
        send(f"{self.url}/toxics", body)
        try:
            yield
        finally:
            send(f"{self.url}/toxics/it", method="DELETE")

    def down(self):
        """Cuts all connections, and refuses new ones."""
        send(self.url, {"enabled": False})

    def up(self):
        send(self.url, {"enabled": True})


class Gateway(Process):
    def __init__(self, upstream, *more, env=None):
        super().__init__(
            BIN, "serve", "--upstream", f"http://{upstream}", "--listen", "127.0.0.1:0",
            "--admin-listen", "127.0.0.1:0", "--log-format", "json", "--drain-delay", "off",
            "--attempt-timeout", "1s", "--connect-timeout", "1s", "--heartbeat", "300ms",
            "--poll-min", "100ms", "--poll-max", "300ms", *more, env=env,
        )
        line, = self.said(r'(\{.*"serving".*\})')
        serving = json.loads(line)
        self.address, self.admin = serving["grpc"], serving["admin"]

    def metrics(self):
        """All metrics without labels, and sums of the others."""
        with DIRECT.open(f"http://{self.admin}/metrics", timeout=60) as answer:
            text = answer.read().decode()
        found = {}
        for name, value in re.findall(r"^(\w+)(?:\{.*\})? (\S+)$", text, re.M):
            found[name] = found.get(name, 0) + float(value)
        return found

    def rest(self):
        """What it holds when nobody calls."""
        metrics = self.metrics()
        return {name: int(metrics[name]) for name in GAUGES}

    def rss_mib(self):
        return self.metrics()["process_resident_memory_bytes"] / 2**20

    def calls(self):
        """The lines of log of calls of the job service."""
        lines = self.log.read_text().splitlines(keepends=True)
        records = [json.loads(it) for it in lines if it.startswith("{") and it.endswith("\n")]
        return [it for it in records if "JobService" in it.get("method", "")]
