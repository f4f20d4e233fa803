"""`jobgate simulate`, gateways and an Envoy in front of them, started for a test."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import yaml

BIN = os.environ["JOBGATE_BIN"]
TOP = pathlib.Path(__file__).parents[3]
CONFIG = TOP / "deploy" / "envoy" / "envoy.yaml"
ENVOY = shutil.which("envoy", path=str(pathlib.Path(sys.executable).parent))
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


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


class Process:
    """A program with its output in a file: nobody reads it while a test runs."""

    def __init__(self, *args):
        self.folder = tempfile.TemporaryDirectory(prefix="envoy-test-")
        self.log = pathlib.Path(self.folder.name, "log")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(args, stdout=log, stderr=log)

    def said(self, text):
        if self.process.poll() is not None:
            raise AssertionError(f"it ended: {self.log.read_text()}")
        return text in self.log.read_text()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        if self.process.poll() is None:
            self.terminate()
        try:
            return self.process.wait(LIMIT)
        finally:
            self.folder.cleanup()


class Simulator(Process):
    def __init__(self, script):
        self.port = free_port()
        self.script = tempfile.NamedTemporaryFile("w", suffix=".toml")
        self.script.write(script)
        self.script.flush()
        super().__init__(
            BIN, "simulate", "--listen", f"127.0.0.1:{self.port}", "--script", self.script.name
        )
        until(lambda: self.said("REST API"), "the simulator starts")


class Gateway(Process):
    def __init__(self, simulator, port, *more):
        self.port = port
        super().__init__(
            BIN, "serve", "--upstream", f"http://127.0.0.1:{simulator.port}",
            "--listen", f"127.0.0.1:{port}", "--admin-listen", "off", "--log-format", "json",
            "--poll-min", "200ms", "--poll-max", "200ms", *more,
        )
        until(lambda: self.said('"serving"'), "the gateway serves")

    def calls(self):
        """The lines of log of calls of the job service."""
        lines = self.log.read_text().splitlines(keepends=True)
        records = [json.loads(line) for line in lines if line.endswith("\n")]
        return [it for it in records if "JobService" in it.get("method", "")]


class Envoy(Process):
    """Envoy by the example, with other ports, and with what else a test changes."""

    def __init__(self, gateways, change=lambda manager: None):
        config = yaml.safe_load(CONFIG.read_text())
        resources = config["static_resources"]
        self.port, self.admin = free_port(), free_port()
        resources["listeners"][0]["address"]["socket_address"]["port_value"] = self.port
        config["admin"]["address"]["socket_address"]["port_value"] = self.admin
        [endpoints] = resources["clusters"][0]["load_assignment"]["endpoints"]
        ports = [it["endpoint"]["address"]["socket_address"] for it in endpoints["lb_endpoints"]]
        assert len(ports) == len(gateways)
        for address, gateway in zip(ports, gateways):
            address["port_value"] = gateway.port
        change(resources["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"])
        self.config = tempfile.NamedTemporaryFile("w", suffix=".yaml")
        yaml.safe_dump(config, self.config)
        self.config.flush()
        super().__init__(ENVOY, "-c", self.config.name, "--concurrency", "1", "--use-dynamic-base-id")
        until(lambda: self.healthy() == len(gateways), "Envoy finds all replicas healthy")

    def page(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}{path}", timeout=30) as answer:
            return answer.read().decode()

    def stat(self, name):
        try:
            page = self.page(f"/stats?filter=^{name}$")
        except OSError:
            return 0
        return int(page.split(":")[1]) if ":" in page else 0

    def healthy(self):
        return self.stat("cluster.jobgate.membership_healthy")
