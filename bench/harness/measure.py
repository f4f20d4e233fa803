"""One measurement, and rounds of them in turn."""

import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from . import install
from .systems import free_port, pinned, running


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


def once(system, case):
    """Starts the system, measures it, and returns the generator's figures."""
    cores = Cores(case.cores)
    with tempfile.TemporaryDirectory(prefix="jobgate-bench-") as folder:
        up_port, port = free_port(), free_port()
        upstream = pinned(cores.others, [install.LOAD, "upstream", "--listen", f"127.0.0.1:{up_port}"])
        command, environment = system.start(port, up_port, case.cores, case.tls, pathlib.Path(folder))
        with running(upstream, up_port) as up, \
                running(pinned(cores.server, command), port, environment) as server:
            figures = generate(system, case, port, server.pid, cores)
            # What reached the upstream, warm-up included.
            figures["upstream_calls"] = count(up_port)
    return figures


def generate(system, case, port, pid, cores):
    status = system.missing if case.missing else system.found
    # An open loop must not run out of streams; 64 connections are many for the bare call.
    streams = 64 if case.rate and system.protocol == "grpc" else case.streams
    command = [install.LOAD, "generate", "--target", f"127.0.0.1:{port}", "--pid", pid,
               "--protocol", system.protocol, "--status", status,
               "--connections", case.connections, "--streams", streams,
               "--warm-up", case.warm_up, "--seconds", case.seconds, "--sub-jobs", case.sub_jobs]
    command += ["--rate", case.rate] if case.rate else []
    command += ["--missing"] if case.missing else []
    command += ["--same"] if case.same else []
    command += ["--ca", install.CERTIFICATE] if case.tls else []
    done = subprocess.run(list(map(str, pinned(cores.others, command))), capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{system.title}, {case.name}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def count(port):
    import urllib.request
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/count", timeout=10) as answer:
        return int(answer.read())


def rounds(systems, case, number):
    """Each system once in each round, beginning with another one each time."""
    taken = {name: [] for name in systems}
    names = list(systems)
    for turn in range(number):
        for name in names[turn % len(names):] + names[:turn % len(names)]:
            print(f"{case.name}: round {turn + 1}, {name}", file=sys.stderr, flush=True)
            taken[name].append(once(systems[name], case))
    return taken
