"""`jobgate serve --credentials password`, started for a test."""

import json
import os
import pathlib
import signal
import subprocess
import tempfile
import urllib.error

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from iam import DIRECT
from jobgate.v1 import jobs_pb2, jobs_pb2_grpc
from waiting import until

BIN = os.environ["JOBGATE_BIN"]
FILE = "--iam-password-file"
VARIABLE = "JOBGATE_IAM_PASSWORD"


class Gateway:
    def __init__(self, keystone, cloud, password, *flags, source=FILE):
        self.cloud = cloud
        self.folder = tempfile.TemporaryDirectory(prefix="gateway-")
        self.log = pathlib.Path(self.folder.name, "log")
        self.passwords = set()
        self.write(password)
        env = {name: value for name, value in os.environ.items() if name != VARIABLE}
        if source == VARIABLE:
            env[VARIABLE] = password
        else:
            flags = (*flags, source, self.file)
        # Not a pipe: nobody reads it while a test runs, and a full one would stop the gateway.
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [
                    BIN, "serve", "--upstream", cloud.url, "--listen", "127.0.0.1:0",
                    "--admin-listen", "127.0.0.1:0", "--log-format", "json", "--log-level", "debug",
                    "--credentials", "password", "--iam-url", keystone.url,
                    "--reload-interval", "200ms", "--drain-delay", "off", *flags,
                ],
                env=env, stdout=log, stderr=log,
            )
        try:
            serving = until(self.serving, "the gateway serves")
        except AssertionError:
            self.process.kill()
            self.process.wait()
            raise
        self.admin = f"http://{serving['admin']}"
        self.channel = grpc.insecure_channel(serving["grpc"])
        self.stub = jobs_pb2_grpc.JobServiceStub(self.channel)

    @property
    def file(self):
        return pathlib.Path(self.folder.name, "password")

    def write(self, password):
        """Replaces the password's file as a whole, as whoever mounts secrets does."""
        self.passwords.add(password)
        new = self.file.with_suffix(".new")
        new.write_text(password + "\n")
        new.rename(self.file)

    def serving(self):
        text = self.log.read_text()
        for line in text.splitlines(keepends=True):
            if line.startswith("{") and line.endswith("\n"):
                record = json.loads(line)
                if record["message"] == "serving":
                    return record
        if self.process.poll() is not None:
            raise AssertionError(f"the gateway did not start: {text}")
        return None

    def page(self, path):
        """The status and the text of a page of the admin port."""
        try:
            answer = DIRECT.open(self.admin + path, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            return answer.status, answer.read().decode()

    def ready(self):
        return self.page("/readyz")[0] == 200

    def hang_up(self):
        """Tells it that something was mended."""
        self.process.send_signal(signal.SIGHUP)

    def stop(self):
        """Ends it, and looks for secrets in everything that it said."""
        try:
            said = self.page("/metrics")[1]
        finally:
            self.channel.close()
            self.process.send_signal(signal.SIGTERM)
            code = self.process.wait(60)
        said += self.log.read_text()
        self.folder.cleanup()
        assert code == 0, code
        for secret in (*self.passwords, *self.cloud.tokens):
            assert secret not in said, "a secret was logged"
        # How all of Keystone's tokens begin, whether the cloud has seen them or not.
        assert "gAAAA" not in said, "a token was logged"

    def get(self, project, job, **more):
        request = jobs_pb2.GetJobRequest(project_id=project.id, job_id=job)
        return self.stub.GetJob(request, **more)

    def watch(self, project, job):
        request = jobs_pb2.WatchJobRequest(project_id=project.id, job_id=job)
        return self.stub.WatchJob(request)

    def outcome(self, project, job):
        """What comes of a call: "OK", or the code and the reason."""
        try:
            self.get(project, job)
        except grpc.RpcError as error:
            assert not any(password in error.details() for password in self.passwords)
            info = error_details_pb2.ErrorInfo()
            details = rpc_status.from_call(error).details
            assert any(detail.Unpack(info) for detail in details), error
            return f"{error.code().name} {info.reason}"
        return "OK"
