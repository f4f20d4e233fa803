"""One measurement, and rounds of them in turn."""

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import urllib.request

from . import install
from .systems import Failed, free_port, pinned, running

# Seconds for one measurement, which takes two minutes at most.
LIMIT = 300


@dataclasses.dataclass(frozen=True)
class Case:
    """What is asked, and how."""

    name: str
    sub_jobs: int = 0
    missing: bool = False
    same: bool = False
    connections: int = 8
    streams: int = 8
    tls: bool = False
    # Calls per second; 0: as many as there are answers.
    rate: int = 0
    # Of the server.
    cores: int = 1
    seconds: float = 4
    warm_up: float = 1


class Cores:
    """The server under test has core 0 to itself, the upstream and the generator have the others."""

    def __init__(self, count):
        total = os.cpu_count() or 1
        apart = count == 1 and total > 1
        self.server = "0" if apart else ""
        self.others = f"1-{total - 1}" if apart else ""


@dataclasses.dataclass
class Started:
    """A system that serves, and its upstream."""

    system: object
    port: int
    pid: int
    upstream: int
    upstream_pid: int
    cores: Cores


@contextlib.contextmanager
def started(system, cores=1, tls=False):
    pins = Cores(cores)
    upstream, port = free_port(), free_port()
    rest = pinned(pins.others, [install.LOAD, "upstream", "--listen", f"127.0.0.1:{upstream}"])
    with tempfile.TemporaryDirectory(prefix="jobgate-bench-") as folder:
        command, variables = system.start(port, upstream, cores, tls, pathlib.Path(folder))
        with running(rest, upstream) as other, \
                running(pinned(pins.server, command), port, variables) as server:
            yield Started(system, port, server.pid, upstream, other.pid, pins)


def once(system, case):
    """Starts the system, measures it, and returns the generator's figures."""
    with started(system, case.cores, case.tls) as it:
        figures = generate(it, case)
        # With those of the warm-up.
        figures["upstream_calls"] = count(it.upstream)
    return figures


def generate(it, case):
    system = it.system
    streams = case.streams
    if case.rate and system.protocol == "grpc":
        # An open loop must not run out of streams; of HTTP/1.1's connections there are enough.
        streams = max(1, 512 // case.connections)
    command = ["generate", "--target", f"127.0.0.1:{it.port}", "--pid", it.pid,
               "--upstream-pid", it.upstream_pid, "--protocol", system.protocol,
               "--status", system.missing if case.missing else system.found,
               "--connections", case.connections, "--streams", streams,
               "--warm-up", case.warm_up, "--seconds", case.seconds, "--sub-jobs", case.sub_jobs]
    command += ["--rate", case.rate] if case.rate else []
    command += ["--missing"] if case.missing else []
    command += ["--same"] if case.same else []
    command += ["--ca", install.CERTIFICATE] if case.tls else []
    return load(it.cores, f"{system.title}, {case.name}", command)


def load(cores, what, command):
    command = list(map(str, pinned(cores.others, [install.LOAD, *command])))
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired as expired:
        raise Failed(f"{what}: not within {LIMIT} s") from expired
    if done.returncode != 0:
        raise Failed(f"{what}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def count(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/count", timeout=10) as answer:
        return int(answer.read())


def rounds(systems, case, number, failures):
    """Each system once in each round, beginning with another one each time."""
    taken = {name: [] for name in systems}
    names = list(systems)
    for turn in range(number):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            say(f"{case.name}: round {turn + 1}, {name}")
            try:
                taken[name].append(once(systems[name], case))
            except Failed as failed:
                say(failed)
                failures.append(str(failed))
    return {name: figures for name, figures in taken.items() if figures}


def say(text):
    print(text, file=sys.stderr, flush=True)
