"""`jobgate simulate` and `jobgate serve`, started for a test."""

import json
import os
import pathlib
import re
import signal
import subprocess
import urllib.request

BIN = os.environ["JOBGATE_BIN"]
SCRIPT = pathlib.Path(__file__).parent.parent / "script.toml"
TOKEN = (("x-auth-token", "python-token"),)


def start(*args):
    """Starts a server; returns the process and its first line that matches an address."""
    process = subprocess.Popen(
        [BIN, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "JOBGATE_DRAIN_DELAY": "off"},
    )
    for line in process.stdout:
        found = re.search(r"(127\.0\.0\.1:\d+)", line)
        if found and ("REST API" in line or "serving" in line):
            return process, found.group(1)
    raise AssertionError(f"{args} did not start")


def stop(process):
    process.send_signal(signal.SIGTERM)
    rest = process.stdout.read()
    process.stdout.close()
    return process.wait(30), rest


def simulate():
    return start("simulate", "--listen", "127.0.0.1:0", "--script", str(SCRIPT))


def serve(rest, *more):
    return start(
        "serve", "--upstream", f"http://{rest}", "--listen", "127.0.0.1:0",
        "--admin-listen", "off", "--log-format", "json", *more,
    )


def start_backup(rest):
    """Starts a backup over REST; returns the job's id."""
    body = {"backup": {"volume_id": "7e5fdc5a-5e36-4b22-8bcc-7f17037290cc", "name": "b"}}
    request = urllib.request.Request(
        f"http://{rest}/v2/p/cloudbackups",
        data=json.dumps(body).encode(),
        headers={"x-auth-token": "python-token"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["job_id"]
