# DOCS> Python, by grpcio.aio: `pip install grpcio grpcio-status grpcio-tools`
"""How to call jobgate with grpcio's asyncio. Copy what you need; errors are read as in snippet.py."""

import asyncio
import json

import grpc

from jobgate.v1 import jobs_pb2, jobs_pb2_grpc
from snippet import KEEPALIVE, MAX_FAILURES, SERVICE_CONFIG, may_pass, pause


class Client:
    """JobService over a channel. Make one and keep it: a channel connects again by itself."""

    def __init__(self, channel, metadata=()):
        self.stub = jobs_pb2_grpc.JobServiceStub(channel)
        self.metadata = metadata

    async def get(self, project, job, timeout=10):
        """The job as it is now."""
        request = jobs_pb2.GetJobRequest(project_id=project, job_id=job)
        return await self.stub.GetJob(request, metadata=self.metadata, timeout=timeout)

    async def watch(self, project, job):
        """All that happens to the job, to its end. A watch that breaks is taken up again."""
        request = jobs_pb2.WatchJobRequest(project_id=project, job_id=job)
        failures = 0
        while True:
            call = self.stub.WatchJob(request, metadata=self.metadata)
            try:
                async for response in call:
                    request.resume_token = response.resume_token
                    failures = 0
                    yield response  # response.HasField("job"), else a heartbeat
                return
            except grpc.aio.AioRpcError as error:
                failures += 1
                if not may_pass(error) or failures == MAX_FAILURES:
                    raise
                wait = pause(error, failures)
            finally:
                call.cancel()  # Whoever reads no further leaves nothing open.
            await asyncio.sleep(wait)


def plaintext(address, token, config=SERVICE_CONFIG):
    """A client without TLS: on the same machine, or within a mesh."""
    options = [("grpc.service_config", json.dumps(config)), *KEEPALIVE]
    return Client(grpc.aio.insecure_channel(address, options), (("x-auth-token", token),))


def tls(address, token, ca=None, config=SERVICE_CONFIG):
    """A client with TLS, which sends the token as call credentials. `ca`: PEM, for a private one."""
    send_token = lambda context, send: send([("x-auth-token", token)], None)
    credentials = grpc.composite_channel_credentials(
        grpc.ssl_channel_credentials(ca), grpc.metadata_call_credentials(send_token)
    )
    options = [("grpc.service_config", json.dumps(config)), *KEEPALIVE]
    return Client(grpc.aio.secure_channel(address, credentials, options))
