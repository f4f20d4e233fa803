"""A command of `jobgate` that serves, started for a test."""

import os
import re
import signal
import subprocess

BIN = os.environ["JOBGATE_BIN"]


def start(*args):
    """Starts a server; returns the process and its first line that matches an address."""
    process = subprocess.Popen(
        [BIN, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    for line in process.stdout:
        found = re.search(r"(127\.0\.0\.1:\d+)", line)
        if found and "REST API" in line:
            return process, found.group(1)
    raise AssertionError(f"{args} did not start")


def stop(process):
    process.send_signal(signal.SIGTERM)
    rest = process.stdout.read()
    process.stdout.close()
    return process.wait(30), rest
