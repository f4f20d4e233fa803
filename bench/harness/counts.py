"""The instructions of a call, by valgrind's callgrind.

They are nearly the same however busy the machine is, if it is of the same kind and has the same C library, so that a
later change can be held against them.
"""

import pathlib
import re
import signal
import subprocess
import tempfile

from . import install
from .systems import Failed, Jobgate, free_port, running, wait_for

BUDGET = install.TOP / "bench" / "budget"

# So much more is too much. So much less is a gain that the budget should keep.
TOLERANCE = 0.05

# Seconds for a run of all calls of a case.
LIMIT = 600

SIGNED = ["--credentials", "aksk", "--access-key", "AK", "--secret-key-file", install.PEERS / "secret-key"]

# What is asked, of a gateway with which flags, and the calls of the two runs that are held against each other.
CASES = {
    "job": ([], [], 200, 1200),
    "job, the request signed": ([], SIGNED, 200, 1200),
    "job with 50 sub jobs": (["--sub-jobs", 50], [], 100, 400),
    "job with 1,000 sub jobs": (["--sub-jobs", 1000], [], 5, 35),
    "no such job": (["--missing"], [], 200, 1200),
}


def everything(binary):
    """Instructions of the gateway for a call, by the case's name."""
    return {name: count(binary, *case) for name, case in CASES.items()}


def count(binary, flags, more, few, many):
    """What more calls cost more: so neither start nor end are in it."""
    system = Jobgate(binary, "--drain-delay", "off", *more)
    return round((total(system, flags, many) - total(system, flags, few)) / (many - few))


def total(system, flags, calls):
    """All instructions of a gateway that answers so many calls, one after another, and ends."""
    upstream, port = free_port(), free_port()
    rest = [install.LOAD, "upstream", "--listen", f"127.0.0.1:{upstream}"]
    with tempfile.TemporaryDirectory(prefix="jobgate-count-") as folder, running(rest, upstream) as other:
        out, log = pathlib.Path(folder, "out"), pathlib.Path(folder, "log")
        command, _ = system.start(port, upstream, 1, False, pathlib.Path(folder))
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *command]
        with log.open("w") as output:
            server = subprocess.Popen(list(map(str, command)), stdout=output, stderr=output)
        try:
            wait_for(server, port, log)
            status = system.missing if "--missing" in flags else system.found
            generate = [install.LOAD, "generate", "--target", f"127.0.0.1:{port}", "--pid", server.pid,
                        "--upstream-pid", other.pid, "--status", status, "--connections", 1, "--streams", 1,
                        "--calls", calls, *flags]
            done = subprocess.run(list(map(str, generate)), capture_output=True, text=True, timeout=LIMIT)
            if done.returncode != 0:
                raise Failed(done.stderr.strip())
            server.send_signal(signal.SIGTERM)
            if server.wait(LIMIT) != 0:
                raise Failed(log.read_text()[-2000:])
        finally:
            server.kill()
            server.wait()
        return int(re.search(r"^totals: (\d+)", out.read_text(), re.M)[1])


def text(counted):
    return "".join(f"{number:>12,}  {name}\n" for name, number in counted.items())


def parse(budget):
    lines = (line.split("  ") for line in budget.splitlines())
    return {line[-1]: int(line[-2].replace(",", "")) for line in lines}


def compare(budget, counted):
    """What is wrong with counts that are not those of the budget, and what has become better."""
    complaints = [f"{name}: in the budget, and not counted" for name in budget.keys() - counted.keys()]
    gains = []
    for name, number in counted.items():
        if name not in budget:
            complaints.append(f"{name}: not in the budget")
            continue
        change = f"{name}: {number / budget[name] - 1:+.1%} of {budget[name]:,}"
        if number > budget[name] * (1 + TOLERANCE):
            complaints.append(change)
        if number < budget[name] * (1 - TOLERANCE):
            gains.append(f"{change}: keep the gain by bench/count --write")
    return complaints, gains
