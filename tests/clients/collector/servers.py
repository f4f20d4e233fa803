"""A collector, a gateway and an upstream that remembers, started for a test."""

import http.server
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time

BIN = os.environ["JOBGATE_BIN"]
COLLECTOR = os.environ["COLLECTOR_BIN"]

# Only a fault reaches it.
LIMIT = 120


def until(condition, what):
    """Asks until the condition holds, and returns its value."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {LIMIT} s: {what}")


class Upstream:
    """The job API: a job that ends when it is told to. Keeps the headers of all requests."""

    def __init__(self):
        self.status = "RUNNING"
        self.requests = []
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                upstream.requests.append(dict(self.headers.items()))
                body = json.dumps({"status": upstream.status, "job_id": "j"}).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Process:
    """A process whose output goes to a file: a full pipe would stop it."""

    def __init__(self, folder, name, *command):
        self.log = pathlib.Path(folder, f"{name}.log")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)

    def text(self):
        return self.log.read_text()

    def said(self, pattern):
        found = until(
            lambda: re.search(pattern, self.text()) or self.process.poll() is not None, pattern
        )
        if found is True:
            raise AssertionError(f"it has ended: {self.text()}")
        return found

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


class Collector(Process):
    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        config = pathlib.Path(folder, "collector.json")
        config.write_text(json.dumps({
            "receivers": {"otlp": {"protocols": {"grpc": {"endpoint": self.address}}}},
            "exporters": {"debug": {"verbosity": "detailed"}},
            "service": {
                "pipelines": {
                    signal: {"receivers": ["otlp"], "exporters": ["debug"]}
                    for signal in ("traces", "metrics")
                },
                "telemetry": {"metrics": {"level": "none"}},
            },
        }))
        super().__init__(folder, "collector", COLLECTOR, f"--config={config}")
        self.said("Everything is ready")

    def spans(self):
        """The spans that it has printed."""
        return [Span(piece) for piece in re.split(r"^Span #\d+$", self.printed("Traces"), flags=re.M)[1:]]

    def metrics(self):
        """The metrics that it has printed."""
        pieces = re.split(r"^Metric #\d+$", self.printed("Metrics"), flags=re.M)[1:]
        return [Metric(piece) for piece in pieces]

    def printed(self, kind):
        """What it has printed of one kind."""
        parts = re.split(r"^\S.*\tinfo\t(\w+)\t.*$", self.text(), flags=re.M)
        return "".join(text for found, text in zip(parts[1::2], parts[2::2]) if found == kind)


class Span:
    """A span, as the collector prints it."""

    def __init__(self, text):
        field = lambda name: re.search(rf"^\s+{name}\s*: ?(.*)$", text, re.M)[1].strip()
        self.trace, self.parent, self.id = field("Trace ID"), field("Parent ID"), field("ID")
        self.name, self.kind, self.status = field("Name"), field("Kind"), field("Status code")
        self.attributes = dict(re.findall(r"^\s+-> ([\w.]+): \w+\((.*)\)$", text, re.M))
        self.links = re.findall(r"^\s+-> ID: ([0-9a-f]{16})$", text, re.M)

    def __repr__(self):
        return f"{self.name} {self.trace} {self.parent} {self.id} {self.links} {self.attributes}"


class Metric:
    """A metric, as the collector prints it."""

    def __init__(self, text):
        field = lambda name: re.search(rf"^\s+-> {name}:(.*)$", text, re.M)[1].strip()
        self.name, self.unit, self.kind = field("Name"), field("Unit"), field("DataType")
        self.grows = "IsMonotonic: true" in text
        points = re.split(r"^\w*DataPoints #\d+$", text, flags=re.M)[1:]
        self.points = [
            (dict(re.findall(r"^\s+-> ([\w.]+): (\w+\(.*\))$", point, re.M)),
             dict(re.findall(r"^(Value|Count|Sum): (\S+)$", point, re.M)))
            for point in points
        ]

    def in_prometheus(self):
        """Its name there, by the rule of OpenTelemetry's specification."""
        unit = {"s": "_seconds", "By": "_bytes", "": ""}[self.unit]
        return self.name.replace(".", "_") + unit + ("_total" if self.grows else "")


def serve(folder, upstream, collector, *more):
    """A gateway; returns its addresses as well."""
    server = Process(
        folder, "serve", BIN, "serve", "--upstream", upstream.url, "--listen", "127.0.0.1:0",
        "--admin-listen", "127.0.0.1:0", "--log-format", "json", "--poll-min", "50ms",
        "--poll-max", "50ms", "--otlp-endpoint", f"http://{collector.address}", *more,
    )
    line = json.loads(server.said(r'\{.*"serving".*\}')[0])
    return server, line["grpc"], line["admin"]
