"""WatchJob as grpcio sees it."""

import unittest

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from jobgate.v1 import jobs_pb2, jobs_pb2_grpc
from servers import TOKEN, serve, simulate, start_backup, stop


class WatchJob(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.simulator, cls.rest = simulate()
        cls.gateway, cls.address = serve(
            cls.rest, "--poll-min", "100ms", "--heartbeat", "200ms"
        )
        cls.channel = grpc.insecure_channel(cls.address)
        cls.stub = jobs_pb2_grpc.JobServiceStub(cls.channel)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        assert stop(cls.gateway)[0] == 0
        assert stop(cls.simulator)[0] == 0

    def watch(self, job, token="", metadata=TOKEN, **more):
        request = jobs_pb2.WatchJobRequest(project_id="p", job_id=job, resume_token=token)
        return self.stub.WatchJob(request, metadata=metadata, **more)

    def jobs(self, events):
        return [event for event in events if event.WhichOneof("event") == "job"]

    def test_a_job_is_seen_to_its_end(self):
        call = self.watch(start_backup(self.rest))
        events = self.jobs(call)
        self.assertEqual(call.code(), grpc.StatusCode.OK)
        states = [event.job.status_text for event in events]
        self.assertEqual(states[-1], "SUCCESS")
        self.assertEqual(states, [s for s in ("INIT", "RUNNING", "SUCCESS") if s in states])
        times = [event.observe_time.ToNanoseconds() for event in events]
        self.assertEqual(times, sorted(times))

    def test_watchers_of_a_job_see_the_same(self):
        job = start_backup(self.rest)
        calls = [self.watch(job) for _ in range(20)]
        ends = [self.jobs(call)[-1] for call in calls]
        self.assertEqual(len({(e.resume_token, e.observe_time.nanos) for e in ends}), 1)

    def test_a_known_state_is_not_repeated(self):
        call = self.watch("endless")
        first = next(call)
        self.assertEqual(first.job.status, jobs_pb2.JOB_STATUS_RUNNING)
        call.cancel()
        resumed = self.watch("endless", token=first.resume_token)
        self.assertEqual(next(resumed).WhichOneof("event"), "heartbeat")
        resumed.cancel()
        ended = self.watch("whole")
        token = next(ended).resume_token
        self.assertEqual(list(self.watch("whole", token=token)), [])

    def test_heartbeats_come_while_nothing_changes(self):
        call = self.watch("endless")
        self.assertEqual(next(call).WhichOneof("event"), "job")
        for _ in range(3):
            event = next(call)
            self.assertEqual(event.WhichOneof("event"), "heartbeat")
            self.assertFalse(event.heartbeat.HasField("upstream_error"))
        call.cancel()

    def test_a_cancelled_watch_ends(self):
        call = self.watch("endless")
        next(call)
        call.cancel()
        with self.assertRaises(grpc.RpcError) as caught:
            list(call)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.CANCELLED)

    def test_a_deadline_is_kept(self):
        with self.assertRaises(grpc.RpcError) as caught:
            list(self.watch("endless", timeout=0.5))
        self.assertEqual(caught.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)

    def test_the_first_error_is_the_calls_own(self):
        for job, metadata, code, reason in [
            ("none", TOKEN, grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND"),
            ("whole", (), grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING"),
            ("../x", TOKEN, grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
            ("throttled", TOKEN, grpc.StatusCode.RESOURCE_EXHAUSTED, "UPSTREAM_THROTTLED"),
        ]:
            if job == "throttled":
                # The wait it asks for is for the whole token.
                metadata = (("x-auth-token", "throttled-token"),)
            with self.assertRaises(grpc.RpcError) as caught:
                list(self.watch(job, metadata=metadata))
            self.assertEqual(caught.exception.code(), code)
            info = error_details_pb2.ErrorInfo()
            details = rpc_status.from_call(caught.exception).details
            self.assertTrue(any(detail.Unpack(info) for detail in details))
            self.assertEqual(info.reason, reason)


if __name__ == "__main__":
    unittest.main()
