"""Every metric that alerts and the dashboard name is one that a gateway has, and every runbook line leads somewhere."""

import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest
import urllib.request

import yaml

TOP = pathlib.Path(__file__).parents[3]
BIN = os.environ["JOBGATE_BIN"]
NAME = re.compile(r"\b(?:jobgate|rpc|http|process)_[a-z_]+\b")
# Labels look like names.
LABELS = {"rpc_method", "rpc_status_code", "http_response_status_code"}


def expressions():
    for group in yaml.safe_load((TOP / "deploy/prometheus/alerts.yaml").read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    board = json.loads((TOP / "deploy/grafana/jobgate.json").read_text())
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel["targets"])


SCRIPT = """
[[fault]]
path = "/jobs/down"
status = 503
[[job]]
project = "p"
id = "endless"
[job.life]
phase = [{ status = "RUNNING" }]
"""


class Program:
    """A server, and what it says when it is there."""

    def __init__(self, *args, **env):
        self.process = subprocess.Popen(
            [BIN, *args], env={**os.environ, **env}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for line in self.process.stdout:
            if "REST API" in line or '"serving"' in line:
                self.line = line
                return
        raise AssertionError(f"{args} did not start")

    def stop(self):
        self.process.terminate()
        self.process.stdout.close()
        self.process.wait(60)


def serve(*args, **env):
    return Program(
        "serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--log-format", "json",
        "--drain-delay", "off", *args, **env,
    )


def client(run, *args, stdout=subprocess.DEVNULL, **more):
    command = [BIN, *args, "--project", "p", "--output", "json"]
    return run(command, stdout=stdout, stderr=subprocess.DEVNULL, **more)


def scrape(gateway):
    """The names of all metrics that a gateway tells, with their values or without."""
    address = json.loads(gateway.line)["admin"]
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    names = set(re.findall(r"^# TYPE (\S+) ", text, re.M))
    return names | set(re.findall(r"^(\w+)[ {]", text, re.M))


def with_tls():
    pair = TOP / "target" / "deploy-test"
    pair.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", "/CN=a",
         "-keyout", pair / "key", "-out", pair / "certificate"],
        check=True, stderr=subprocess.DEVNULL,
    )
    gateway = serve(
        "--upstream", "http://127.0.0.1:1",
        "--tls-cert", pair / "certificate", "--tls-key", pair / "key",
    )
    try:
        return scrape(gateway)
    finally:
        gateway.stop()


def with_trouble():
    """A gateway with credentials of its own, with one watch too many, before a cloud that fails."""
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as script:
        script.write(SCRIPT)
        script.flush()
        cloud = Program("simulate", "--listen", "127.0.0.1:0", "--script", script.name)
    url = re.search(r"http://\S+", cloud.line)[0]
    gateway = serve(
        "--upstream", url, "--max-watches", "1", "--credentials", "password", "--iam-url", url,
        "--iam-user-id", "u", "--iam-project-id", "p", JOBGATE_IAM_PASSWORD="secret",
    )
    address = "http://" + json.loads(gateway.line)["grpc"]
    watch = client(
        subprocess.Popen, "watch", "endless", "--gateway", address, stdout=subprocess.PIPE
    )
    try:
        watch.stdout.readline()
        client(subprocess.run, "watch", "endless", "--gateway", address, timeout=60)
        # Until the upstream is left alone.
        for _ in range(8):
            client(subprocess.run, "get", "down", "--gateway", address, timeout=60)
        return scrape(gateway)
    finally:
        watch.kill()
        watch.stdout.close()
        watch.wait(60)
        gateway.stop()
        cloud.stop()


class Metrics(unittest.TestCase):
    def test_names_are_those_of_a_gateway(self):
        known = with_tls() | with_trouble()
        named = {name for text in expressions() for name in NAME.findall(text)} - LABELS
        self.assertGreater(len(named), 15)
        self.assertEqual(named - known, set())

    def test_runbook_lines_lead_somewhere(self):
        headings = re.findall(r"^## (.+)$", (TOP / "docs/runbook.md").read_text(), re.M)
        anchors = {heading.lower().replace(" ", "-") for heading in headings}
        for group in yaml.safe_load((TOP / "deploy/prometheus/alerts.yaml").read_text())["groups"]:
            for rule in group["rules"]:
                page, anchor = rule["annotations"]["runbook"].split("#")
                self.assertEqual(page, "docs/runbook.md")
                self.assertIn(anchor, anchors, rule["alert"])


if __name__ == "__main__":
    unittest.main()
