"""Starts a stack's program, answers what it asks, and notes what it says."""

import os
import pathlib
import re
import subprocess
import tempfile
import threading

from servers import Servers

HERE = pathlib.Path(__file__).parent

# Only a fault reaches it.
LIMIT = 300

REFUSED = (
    'rpc_server_call_duration_seconds_count{rpc_system_name="grpc",'
    'rpc_method="jobgate.v1.JobService/WatchJob",rpc_status_code="RESOURCE_EXHAUSTED"}'
)

LINE = re.compile(r"(ok|failed|unsupported) (\w+)(?:: (.*))?")


class Stack:
    """One gRPC implementation of one language."""

    def __init__(self, folder, name, title):
        self.folder, self.name, self.title = folder, name, title
        self.version = ""

    def ask_version(self):
        run = [self.folder / "run", self.name, "version"]
        self.version = subprocess.run(run, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()

    def play(self, scenarios):
        """Has the program play the scenarios: by name, what it said and why."""
        with tempfile.TemporaryDirectory() as folder:
            servers = Servers(folder)
            try:
                return self.play_on(servers, scenarios, folder)
            finally:
                servers.stop()

    def play_on(self, servers, scenarios, folder):
        token = f"token-of-{self.name}"
        environment = {
            **os.environ,
            "JOBGATE_ADDRESS": servers.gateway.address,
            "JOBGATE_AGING_ADDRESS": servers.aging.address,
            "JOBGATE_RELAY_ADDRESS": servers.relay.address,
            "JOBGATE_TLS_ADDRESS": servers.secure.address,
            "JOBGATE_CA": servers.ca,
            "JOBGATE_TOKEN": token,
            "JOBGATE_TABLES": str(HERE),
        }
        errors = pathlib.Path(folder, "errors")
        with errors.open("w") as stderr:
            program = subprocess.Popen(
                [self.folder / "run", self.name, *scenarios], env=environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
            )
        timer = threading.Timer(LIMIT, program.kill)
        timer.start()
        try:
            results = talk(program, servers, token)
        finally:
            timer.cancel()
            program.kill()
            code = program.wait()
        if results.get("goaway", ("",))[0] == "ok":
            ended = servers.aging.metric('jobgate_connections_ended_total{by="age"}')
            if not ended:
                results["goaway"] = ("failed", "no connection was ended")
        wrong = "; ".join(servers.complaints(token))
        last = errors.read_text().strip()[-2000:]
        for name in scenarios:
            if name not in results:
                results[name] = ("failed", f"nothing was said of it; the end was {code}\n{last}")
            elif wrong and results[name][0] == "ok":
                results[name] = ("failed", wrong)
        return results


def refused(gateway):
    """How many watches were refused so far; 0 if the gateway has ended, which is told as a complaint."""
    try:
        return gateway.metric(REFUSED)
    except OSError:
        return 0


def talk(program, servers, token):
    """Reads lines to the end, and answers those that ask something."""
    results, before = {}, 0
    for line in program.stdout:
        line = line.strip()
        found = LINE.fullmatch(line)
        if found:
            said, name, why = found.groups("")
            now = refused(servers.gateway)
            # Who does not obey comes too early, and is refused again until the time has come.
            if (said, name) == ("ok", "watch_pushback") and now != before + 1:
                said, why = "failed", f"refused {now - before:.0f} times: the pause has to be met once and obeyed"
            results[name], before = (said, why), now
            continue
        if line == "restart":
            servers.restart()
            answer = "restarted"
        elif line == "kill":
            servers.kill()
            answer = "killed"
        elif line == "silence":
            servers.relay.silence()
            answer = "silent"
        elif line == "watchers":
            answer = str(servers.gateway.left("jobgate_watchers"))
        elif line == "backup":
            answer = servers.backup(token)
        else:
            results["?"] = ("failed", f"an odd line: {line}")
            continue
        program.stdin.write(answer + "\n")
        program.stdin.flush()
    return results
