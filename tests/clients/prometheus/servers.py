"""`jobgate simulate`, `jobgate serve` and Prometheus, started for a test."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request

BIN = os.environ["JOBGATE_BIN"]
SCRIPT = pathlib.Path(__file__).parent / "script.toml"

# Only a fault reaches it.
LIMIT = 120

# The loopback is nobody's proxy's business.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def until(condition, what):
    """Asks until the condition holds, and returns its value."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {LIMIT} s: {what}")


class Server:
    """A process whose output goes to a file: a full pipe would stop it."""

    def __init__(self, folder, name, *command, env=None):
        self.log = pathlib.Path(folder, f"{name}.log")
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

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def simulate(folder):
    server = Server(
        folder, "simulate", BIN, "simulate", "--listen", "127.0.0.1:0", "--script", str(SCRIPT)
    )
    return server, server.said(r"REST API.*http://(127\.0\.0\.1:\d+)")[0]


def serve(folder, upstream):
    """A gateway; returns its addresses as well."""
    server = Server(
        folder, "serve", BIN, "serve", "--upstream", f"http://{upstream}",
        "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-format", "json",
        "--poll-min", "200ms", "--poll-max", "200ms",
    )
    line, = server.said(r'(\{.*"serving".*\})')
    line = json.loads(line)
    return server, line["grpc"], line["admin"]


def client(gateway, *arguments, token="python-token"):
    """A command of the program's own client, begun."""
    return subprocess.Popen(
        [BIN, *arguments, "--project", "p", "--gateway", f"http://{gateway}"],
        env={**os.environ, "JOBGATE_TOKEN": token},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )


class Prometheus(Server):
    def __init__(self, folder, target):
        config = pathlib.Path(folder, "prometheus.yml")
        config.write_text(json.dumps({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [{"job_name": "jobgate", "static_configs": [{"targets": [target]}]}],
        }))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        super().__init__(
            folder, "prometheus", "prometheus", f"--config.file={config}",
            f"--storage.tsdb.path={folder}/data", f"--web.listen-address={self.address}",
        )
        self.said("Server is ready to receive web requests")

    def ask(self, what, **query):
        query = urllib.parse.urlencode(query)
        with DIRECT.open(f"http://{self.address}/api/v1/{what}?{query}", timeout=30) as answer:
            return json.load(answer)["data"]

    def value(self, query):
        """The value of the only series that the query finds; `None` if there is none yet."""
        found = self.ask("query", query=query)["result"]
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None
