# DOCS> Python, by grpcio: `pip install grpcio grpcio-status grpcio-tools`
"""How to call jobgate with grpcio. Copy what you need."""

import json
import random
import time

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from jobgate.v1 import jobs_pb2, jobs_pb2_grpc

# The library itself repeats what may pass, and waits as long as the gateway says.
SERVICE_CONFIG = {
    "methodConfig": [{
        "name": [{"service": "jobgate.v1.JobService"}],
        "retryPolicy": {
            "maxAttempts": 4,
            "initialBackoff": "0.2s",
            "maxBackoff": "5s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE", "RESOURCE_EXHAUSTED"],
        },
    }],
}

# How long the gateway may be silent before it is asked whether it is there, and may then take: a net that has
# forgotten a connection tells nobody.
KEEPALIVE = [
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),  # As often as it takes.
]

# A watch gives up after so many failures in a row, two minutes or so if the gateway does not say how long.
MAX_FAILURES = 20


class Client:
    """JobService over a channel. Make one and keep it: a channel connects again by itself."""

    def __init__(self, channel, metadata=()):
        self.stub = jobs_pb2_grpc.JobServiceStub(channel)
        self.metadata = metadata

    def get(self, project, job, timeout=10):
        """The job as it is now."""
        request = jobs_pb2.GetJobRequest(project_id=project, job_id=job)
        return self.stub.GetJob(request, metadata=self.metadata, timeout=timeout)

    def watch(self, project, job):
        """All that happens to the job, to its end. A watch that breaks is taken up again."""
        request = jobs_pb2.WatchJobRequest(project_id=project, job_id=job)
        failures = 0
        while True:
            call = self.stub.WatchJob(request, metadata=self.metadata)
            try:
                for response in call:
                    request.resume_token = response.resume_token
                    failures = 0
                    yield response  # response.HasField("job"), else a heartbeat
                return
            except grpc.RpcError as error:
                failures += 1
                if not may_pass(error) or failures == MAX_FAILURES:
                    raise
                wait = pause(error, failures)
            finally:
                call.cancel()  # Whoever reads no further leaves nothing open.
            time.sleep(wait)


def plaintext(address, token, config=SERVICE_CONFIG):
    """A client without TLS: on the same machine, or within a mesh."""
    options = [("grpc.service_config", json.dumps(config)), *KEEPALIVE]
    return Client(grpc.insecure_channel(address, options), [("x-auth-token", token)])


def tls(address, token, ca=None, config=SERVICE_CONFIG):
    """A client with TLS, which sends the token as call credentials. `ca`: PEM, for a private one."""
    send_token = lambda context, send: send([("x-auth-token", token)], None)
    credentials = grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(ca), grpc.metadata_call_credentials(send_token)
    )
    options = [("grpc.service_config", json.dumps(config)), *KEEPALIVE]
    return Client(grpc.secure_channel(address, credentials, options))


KNOWN = {
    f"google.rpc.{name}": getattr(error_details_pb2, name)
    for name in ("ErrorInfo", "RetryInfo", "RequestInfo", "ResourceInfo", "BadRequest")
}


def details(error):
    """What an error says besides code and text, by the name of the type: ErrorInfo, RetryInfo..."""
    found = {}
    try:
        status = rpc_status.from_call(error)
        for packed in status.details if status else ():
            known = KNOWN.get(packed.TypeName())
            if known and packed.Unpack(message := known()):
                found[message.DESCRIPTOR.name] = message
    except (ValueError, DecodeError):
        pass  # A proxy has changed the error.
    return found


def reason(error):
    """Why a call failed, such as "JOB_NOT_FOUND"; None if the gateway did not say so itself."""
    info = details(error).get("ErrorInfo")
    return info.reason if info and info.domain == "jobgate" else None


def retry_delay(error):
    """The seconds to wait before another try, if the gateway said so."""
    info = details(error).get("RetryInfo")
    return info.retry_delay.ToTimedelta().total_seconds() if info else None


def may_pass(error):
    """Whether another try may do better."""
    if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return retry_delay(error) is not None
    return error.code() is grpc.StatusCode.UNAVAILABLE


def pause(error, failures):
    """The seconds to wait: as the gateway says, a minute at most; else longer with each failure."""
    told, wait = retry_delay(error), min(2**failures / 8, 10)
    return random.uniform(wait / 2, wait) if told is None else min(told, 60)
