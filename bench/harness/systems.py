"""The systems, and how each is started to serve on one port."""

import contextlib
import os
import pathlib
import socket
import subprocess
import tempfile
import time

from . import install

NOT_FOUND, UNIMPLEMENTED = 5, 12


class Failed(Exception):
    """A system did not start, or did not answer as it should."""


def free_port():
    with socket.socket() as it:
        it.bind(("127.0.0.1", 0))
        return it.getsockname()[1]


class System:
    """A server of gRPC. What it ends a call with when there is no such job is its own affair."""

    protocol = "grpc"
    found, missing = 0, NOT_FOUND
    has_tls = True

    def start(self, port, upstream, workers, tls, folder):
        """Its command line, and variables of its environment."""
        raise NotImplementedError


class Jobgate(System):
    title = "jobgate"

    def __init__(self, binary, *more):
        self.binary, self.more = binary, more

    def start(self, port, upstream, workers, tls, folder):
        secure = ["--tls-cert", install.CERTIFICATE, "--tls-key", install.KEY] if tls else []
        return [self.binary, "serve", "--upstream", f"http://127.0.0.1:{upstream}",
                "--listen", f"127.0.0.1:{port}", "--admin-listen", f"127.0.0.1:{free_port()}",
                "--workers", str(workers), *secure, *self.more], {}


class Envoy(System):
    title = "Envoy reverse transcoder"
    missing = UNIMPLEMENTED

    def start(self, port, upstream, workers, tls, folder):
        peer = install.PEERS / "envoy"
        words = {"port": port, "upstream": upstream, "descriptors": install.DESCRIPTORS,
                 "tls": (peer / "tls.yaml").read_text() if tls else "",
                 "certificate": install.CERTIFICATE, "key": install.KEY}
        config = (peer / "envoy.yaml").read_text()
        for word, value in words.items():
            config = config.replace("{" + word + "}", str(value))
        file = folder / "envoy.yaml"
        file.write_text(config)
        return [install.ENVOY, "-c", file, "--concurrency", str(workers), "--disable-hot-restart",
                "--log-level", "warning"], {}


class Go(System):
    title = "grpc-go and net/http, by hand"

    def start(self, port, upstream, workers, tls, folder):
        secure = ["-tls-cert", install.CERTIFICATE, "-tls-key", install.KEY] if tls else []
        return [install.GATEWAY_GO, "-listen", f"127.0.0.1:{port}",
                "-upstream", f"http://127.0.0.1:{upstream}", *secure], {"GOMAXPROCS": str(workers)}


class Rest(System):
    title = "the bare REST call"
    protocol = "rest"
    found, missing = 200, 404
    has_tls = False

    def start(self, port, upstream, workers, tls, folder):
        return [install.LOAD, "upstream", "--listen", f"127.0.0.1:{port}"], {}


class Floor(System):
    title = "floor: tonic, from memory"
    has_tls = False

    def start(self, port, upstream, workers, tls, folder):
        return [install.LOAD, "floor", "--listen", f"127.0.0.1:{port}"], {}


NAMES = ("jobgate", "envoy", "go", "rest", "floor")


def all_systems(binary):
    return dict(zip(NAMES, (Jobgate(binary), Envoy(), Go(), Rest(), Floor())))


def pinned(cores, command):
    """By `taskset`, if there are cores to choose."""
    return ["taskset", "-c", cores, *command] if cores else list(command)


@contextlib.contextmanager
def running(command, port, environment=None):
    """A process that takes connections, until the block ends. Its output goes to a file."""
    with tempfile.TemporaryDirectory(prefix="jobgate-bench-") as folder:
        log = pathlib.Path(folder, "log")
        with log.open("a") as output:
            process = subprocess.Popen(list(map(str, command)), stdout=output, stderr=output,
                                       env={**os.environ, **(environment or {})})
        try:
            wait_for(process, port, log)
            yield process
        finally:
            process.kill()
            process.wait()


def wait_for(process, port, log):
    for _ in range(1200):
        if process.poll() is not None:
            raise Failed(f"it ended: {log.read_text()[-2000:]}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Failed("it takes no connections")
