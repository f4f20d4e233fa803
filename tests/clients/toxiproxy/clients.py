"""Clients of a gateway: calls, and watches that are taken up again."""

import threading
import time

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from jobgate.v1 import jobs_pb2, jobs_pb2_grpc
from processes import TOKEN

# As services set them that want to hear of a dead connection soon.
OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.keepalive_time_ms", 1000),
    ("grpc.keepalive_timeout_ms", 1000),
    ("grpc.http2.max_pings_without_data", 0),
)


def reason(error):
    """What the gateway says it is; the client library's own errors have none."""
    info = error_details_pb2.ErrorInfo()
    status = rpc_status.from_call(error)
    found = status and any(detail.Unpack(info) for detail in status.details)
    return info.reason if found else None


class Client:
    """A channel with a connection of its own."""

    def __init__(self, address, token=TOKEN):
        self.channel = grpc.insecure_channel(address, OPTIONS)
        self.stub = jobs_pb2_grpc.JobServiceStub(self.channel)
        self.metadata = (("x-auth-token", token),)

    def get(self, job, timeout=20):
        request = jobs_pb2.GetJobRequest(project_id="p", job_id=job)
        return self.stub.GetJob(request, metadata=self.metadata, timeout=timeout)

    def outcome(self, job, timeout=20):
        """What comes of a call: "OK", the gateway's reason, or the library's code."""
        try:
            self.get(job, timeout)
        except grpc.RpcError as error:
            return reason(error) or error.code().name
        return "OK"

    def watch(self, job, resume_token=""):
        request = jobs_pb2.WatchJobRequest(project_id="p", job_id=job, resume_token=resume_token)
        return self.stub.WatchJob(request, metadata=self.metadata)

    def close(self):
        self.channel.close()


class Follower(threading.Thread):
    """Watches a job to its end, as the README says: `UNAVAILABLE` is taken up again."""

    def __init__(self, client, job):
        super().__init__(daemon=True)
        self.client, self.job = client, job
        self.last, self.troubles, self.resumed, self.failed = None, [], [], None
        self.start()

    def run(self):
        token = ""
        while True:
            try:
                for event in self.client.watch(self.job, token):
                    token = event.resume_token or token
                    if event.WhichOneof("event") == "job":
                        self.last = jobs_pb2.JobStatus.Name(event.job.status)
                    elif event.heartbeat.HasField("upstream_error"):
                        self.troubles.append(event.heartbeat.upstream_error)
                return
            except grpc.RpcError as error:
                self.resumed.append(reason(error) or error.code().name)
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    self.failed = error
                    return
                time.sleep(0.1)

    def ended(self):
        return not self.is_alive()
