"""A simulated cloud and three gateways, for one stack's program."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request

HERE = pathlib.Path(__file__).parent
BIN = os.environ.get("JOBGATE_BIN", str(HERE.parents[2] / "target/debug/jobgate"))

# The loopback is nobody's proxy's business.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))

# The cap on an answer, in bytes of JSON.
CAP = 4 << 20


def script():
    """The script with the job that just fits, and the one that does not."""
    def job(name, size):
        def body(length):
            entities = {"length": length, "text": "x" * length}
            return json.dumps({"status": "RUNNING", "entities": entities})
        # Seven digits, whatever the length will be.
        length = 4_100_000
        length += size - len(body(length))
        return f"\n[[job]]\nproject = \"p\"\nid = \"{name}\"\nraw = '''{body(length)}'''\n"

    return (HERE / "script.toml").read_text() + job("large", CAP) + job("larger", CAP + 1)


class Process:
    """A server, whose output goes to a file."""

    def __init__(self, folder, name, *args):
        self.log = pathlib.Path(folder, f"{name}.log")
        with self.log.open("a") as log:
            before = log.tell()
            self.process = subprocess.Popen([BIN, *args], stdout=log, stderr=log, env=ENVIRONMENT)
        self.first = self.until_it_says(before)

    def until_it_says(self, before):
        """The first line with an address."""
        while self.process.poll() is None:
            with self.log.open() as log:
                log.seek(before)
                for line in log:
                    if line.endswith("\n") and ("REST API" in line or '"serving"' in line):
                        return line
            try:
                self.process.wait(0.02)
            except subprocess.TimeoutExpired:
                pass
        raise RuntimeError(f"did not start: {self.log.read_text()}")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


# Nothing of the caller's environment changes how they serve.
ENVIRONMENT = {k: v for k, v in os.environ.items() if not k.startswith(("JOBGATE_", "OTEL_"))}


class Gateway(Process):
    """A gateway that polls often, so that tests are short."""

    def __init__(self, folder, name, rest, listen, *more):
        super().__init__(
            folder, name, "serve", "--upstream", f"http://{rest}", "--listen", listen,
            "--admin-listen", "127.0.0.1:0", "--log-format", "json", "--drain-delay", "off",
            "--poll-min", "100ms", "--poll-max", "100ms", "--heartbeat", "200ms",
            # gRPC goes past it.
            "--grpc-web-allow-origin", "http://pages.test", *more,
        )
        line = json.loads(self.first)
        self.address, self.admin = line["grpc"], line["admin"]

    def metric(self, name):
        """A counter's value; 0 if it is not there."""
        with DIRECT.open(f"http://{self.admin}/metrics") as answer:
            found = re.search(rf"^{re.escape(name)} (\S+)$", answer.read().decode(), re.M)
        return float(found[1]) if found else 0

    def left(self, gauge):
        """A gauge's value once it is 0, or what it still is after ten seconds."""
        until = time.monotonic() + 10
        while (value := int(self.metric(gauge))) and time.monotonic() < until:
            time.sleep(0.05)
        return value


class Relay:
    """A way to a gateway that can swallow all that is under way, as a net does that has forgotten a connection."""

    def __init__(self, target):
        host, port = target.rsplit(":", 1)
        self.target, self.swallowed = (host, int(port)), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:  # It has been stopped.
                return
            server, swallowed = socket.create_connection(self.target), self.swallowed
            for pair in ((client, server), (server, client)):
                threading.Thread(target=carry, args=(*pair, swallowed), daemon=True).start()

    def silence(self):
        """Swallows what comes on the connections of now; later ones are as they should be."""
        self.swallowed.set()
        self.swallowed = threading.Event()

    def stop(self):
        self.listener.close()


def carry(source, drain, swallowed):
    """Carries bytes until one of the two has ended."""
    try:
        while data := source.recv(65536):
            if not swallowed.is_set():
                drain.sendall(data)
        if not swallowed.is_set():
            drain.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def certificates(folder):
    """Makes an authority and a certificate for 127.0.0.1; returns the files of the three."""
    ca, ca_key, cert, key = (f"{folder}/{name}" for name in ("ca.pem", "ca.key", "tls.pem", "tls.key"))
    make = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2")
    for command in [
        (*make, "-subj", "/CN=interop authority", "-keyout", ca_key, "-out", ca),
        (*make, "-subj", "/CN=gateway", "-keyout", key, "-out", cert, "-CA", ca, "-CAkey", ca_key,
         "-addext", "basicConstraints=CA:FALSE",
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
    ]:
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return ca, cert, key


class Servers:
    """All that one program needs."""

    def __init__(self, folder):
        self.folder, self.running, self.relay = folder, [], None
        try:
            path = pathlib.Path(folder, "script.toml")
            path.write_text(script())
            simulate = ("simulate", "--listen", "127.0.0.1:0", "--script", str(path))
            cloud = self.keep(Process(folder, "cloud", *simulate))
            self.rest = re.search(r"127\.0\.0\.1:\d+", cloud.first)[0]
            aging = ("--connection-max-age", "1s", "--connection-grace", "5s")
            self.aging = self.keep(Gateway(folder, "aging", self.rest, "127.0.0.1:0", *aging))
            self.ca, cert, key = certificates(folder)
            tls = ("--tls-cert", cert, "--tls-key", key)
            self.secure = self.keep(Gateway(folder, "secure", self.rest, "127.0.0.1:0", *tls))
            self.gateway = self.keep(Gateway(folder, "gateway", self.rest, "127.0.0.1:0"))
            self.relay = Relay(self.gateway.address)
        except BaseException:
            self.stop()
            raise

    def keep(self, process):
        self.running.append(process)
        return process

    def restart(self):
        """Ends the gateway, and starts it again on the same port."""
        code = self.running.pop().stop()
        if code != 0:
            raise RuntimeError(f"the gateway ended with {code}")
        self.start_again()

    def kill(self):
        """Has the gateway end without a word, and starts it again on the same port."""
        killed = self.running.pop().process
        killed.kill()
        killed.wait()
        self.start_again()

    def start_again(self):
        address = self.gateway.address
        self.gateway = self.keep(Gateway(self.folder, "gateway", self.rest, address))

    def backup(self, token):
        """Starts a backup over REST; returns the job's id."""
        body = {"backup": {"volume_id": "7e5fdc5a-5e36-4b22-8bcc-7f17037290cc", "name": "b"}}
        request = urllib.request.Request(
            f"http://{self.rest}/v2/p/cloudbackups",
            data=json.dumps(body).encode(),
            headers={"x-auth-token": token},
        )
        with DIRECT.open(request) as answer:
            return json.load(answer)["job_id"]

    def complaints(self, token):
        """What was wrong with the servers, when all is done; ends them."""
        found = [f"{it.log.stem} ended with {code}" for it in self.running if (code := it.stop())]
        found += [
            f"{log.stem} logged a token"
            for log in pathlib.Path(self.folder).glob("*.log")
            if token in log.read_text()
        ]
        self.running = []
        return found

    def stop(self):
        if self.relay:
            self.relay.stop()
        for process in self.running:
            process.process.kill()
            process.process.wait()
