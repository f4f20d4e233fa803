"""The image's configuration, and commands run in it as a container would run them."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

BASE = pathlib.Path(os.environ["IMAGE_BASE"])
ROOT = pathlib.Path(os.environ["IMAGE_ROOT"])
CONFIG = json.loads(pathlib.Path(os.environ["IMAGE_CONFIG"]).read_text())["Docker"]["config"]
TOP = pathlib.Path(__file__).parents[3]

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


def start(command, env=None, **more):
    """A process with the image's files, user and variables; of ours it has the network alone."""
    user = CONFIG["User"]
    return subprocess.Popen(
        [
            shutil.which("setpriv"), "--no-new-privs",
            shutil.which("chroot"), f"--userspec={user}:{user}", str(ROOT), *command,
        ],
        env={**dict(pair.split("=", 1) for pair in CONFIG["Env"]), **(env or {})},
        stdin=subprocess.DEVNULL, **more,
    )


def run(*arguments, env=None):
    """`docker run IMAGE ARGUMENTS` to its end; the exit code and what was printed."""
    process = start(
        [*CONFIG["Entrypoint"], *arguments], env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    said, _ = process.communicate(timeout=LIMIT)
    return process.returncode, said


def healthy():
    """Whether the image's own health check is content."""
    kind, *command = CONFIG["Healthcheck"]["Test"]
    assert kind == "CMD", kind
    process = start(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return process.wait(LIMIT) == 0


class Server:
    """`docker run IMAGE ARGUMENTS`, with its output in a file: nobody reads it while a test runs."""

    def __init__(self, folder, name, *arguments, env=None):
        self.log = pathlib.Path(folder, f"{name}.log")
        with self.log.open("w") as log:
            command = [*CONFIG["Entrypoint"], *(arguments or CONFIG["Cmd"])]
            self.process = start(command, env, stdout=log, stderr=log)

    def said(self, pattern):
        def look():
            ended = self.process.poll() is not None
            found = re.search(pattern, self.log.read_text())
            if ended and not found:
                raise AssertionError(f"it has ended: {self.log.read_text()}")
            return found
        return until(look, pattern)

    def status(self):
        """What Linux says of the process."""
        lines = pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return {name: value.split() for name, value in (line.split(":", 1) for line in lines)}

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(LIMIT)
        finally:
            self.process.kill()
