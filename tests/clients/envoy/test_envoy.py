"""Two gateways behind Envoy."""

import json
import threading
import unittest
import urllib.request

import grpc
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from jobgate.v1 import jobs_pb2, jobs_pb2_grpc
from processes import Envoy, Gateway, Simulator, free_port, until

TOKEN = ("x-auth-token", "envoy-token")
SCRIPT = """
[[job]]
project = "p"
id = "endless"
[job.life]
phase = [{ status = "RUNNING" }]

[[fault]]
path = "/jobs/down"
status = 503

[[fault]]
path = "/jobs/forbidden"
status = 403
code = "EVS.0003"

[start.create]
phase = [{ status = "INIT" }, { after = "12s", status = "SUCCESS" }]
"""


def metadata(job):
    return (TOKEN, ("x-job-id", job))


def reason(error):
    info = error_details_pb2.ErrorInfo()
    status = rpc_status.from_call(error)
    found = status and any(detail.Unpack(info) for detail in status.details)
    return info.reason if found else None


class Behind(unittest.TestCase):
    flags = ("--heartbeat", "500ms", "--drain-delay", "8s")

    @staticmethod
    def change(manager):
        pass

    def setUp(self):
        self.simulator = Simulator(SCRIPT)
        self.addCleanup(self.simulator.stop)
        self.gateways = [self.start(free_port()) for _ in range(2)]
        self.addCleanup(lambda: [gateway.stop() for gateway in self.gateways])
        self.envoy = Envoy(self.gateways, self.change)
        self.addCleanup(self.envoy.stop)
        channel = grpc.insecure_channel(f"127.0.0.1:{self.envoy.port}")
        self.addCleanup(channel.close)
        self.stub = jobs_pb2_grpc.JobServiceStub(channel)

    def start(self, port):
        return Gateway(self.simulator, port, *self.flags)

    def get(self, job, **more):
        request = jobs_pb2.GetJobRequest(project_id="p", job_id=job)
        return self.stub.GetJob(request, metadata=metadata(job), timeout=20, **more)

    def watch(self, job, resume_token="", **more):
        request = jobs_pb2.WatchJobRequest(project_id="p", job_id=job, resume_token=resume_token)
        return self.stub.WatchJob(request, metadata=metadata(job), **more)


class Calls(Behind):
    def test_one_replica_gets_all_about_one_job(self):
        watches = [self.watch("endless") for _ in range(5)]
        for watch in watches:
            next(watch)
        for _ in range(20):
            self.get("endless")
        for watch in watches:
            watch.cancel()
        counts = until(
            lambda: (c := [len(g.calls()) for g in self.gateways]) and sum(c) == 25 and c,
            "all calls are logged",
        )
        self.assertEqual(sorted(counts), [0, 25])

    def test_errors_come_through_whole_and_are_not_repeated(self):
        for job, code, why in [
            ("none", grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND"),
            ("forbidden", grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED"),
            ("../x", grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST"),
        ]:
            with self.assertRaises(grpc.RpcError) as caught:
                self.get(job)
            self.assertEqual((caught.exception.code(), reason(caught.exception)), (code, why))
        until(lambda: sum(len(g.calls()) for g in self.gateways) >= 3, "all calls are logged")
        self.assertEqual(sum(len(gateway.calls()) for gateway in self.gateways), 3)
        self.assertEqual(self.envoy.stat("cluster.jobgate.upstream_rq_retry"), 0)

    def test_unavailable_is_repeated(self):
        with self.assertRaises(grpc.RpcError) as caught:
            self.get("down")
        error = caught.exception
        self.assertEqual(error.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertEqual(reason(error), "UPSTREAM_UNAVAILABLE")
        until(lambda: self.envoy.stat("cluster.jobgate.upstream_rq_retry") == 2, "two repeats")

    def test_a_replica_that_is_gone_costs_no_call(self):
        self.gateways[0].process.kill()
        self.gateways[0].process.wait()
        # Before Envoy has heard of it, each is tried; of those that fail, the other one is asked.
        for number in range(50):
            self.assertTrue(self.stub.GetJob(
                jobs_pb2.GetJobRequest(project_id="p", job_id="endless"),
                metadata=metadata(f"spread-{number}"), timeout=20,
            ))


class Idle(Behind):
    """Envoy ends streams on which nothing is heard for two seconds."""

    @staticmethod
    def change(manager):
        manager["stream_idle_timeout"] = "2s"

    def test_heartbeats_keep_a_quiet_watch(self):
        watch = self.watch("endless")
        self.assertEqual(next(watch).WhichOneof("event"), "job")
        # Six seconds of a stream that would have been ended after two.
        for _ in range(12):
            self.assertEqual(next(watch).WhichOneof("event"), "heartbeat")
        watch.cancel()


class Quiet(Behind):
    """The same with heartbeats that come too late."""

    flags = ("--heartbeat", "1h", "--drain-delay", "off")
    change = staticmethod(Idle.change)

    def test_a_watch_that_is_cut_is_no_end_and_goes_on_where_it_was(self):
        watch = self.watch("endless")
        first = next(watch)
        with self.assertRaises(grpc.RpcError) as caught:
            next(watch)
        self.assertNotEqual(caught.exception.code(), grpc.StatusCode.OK)
        again = self.watch("endless", resume_token=first.resume_token)
        with self.assertRaises(grpc.RpcError):
            # The state is known: nothing comes before the cut.
            next(again)


class RollingRestart(Behind):
    """Both replicas are replaced, one after the other, while clients call and watch."""

    def backup(self):
        """Starts a job over REST; returns its id."""
        body = {"backup": {"volume_id": "7e5fdc5a-5e36-4b22-8bcc-7f17037290cc", "name": "b"}}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.simulator.port}/v2/p/cloudbackups",
            data=json.dumps(body).encode(), headers={"x-auth-token": TOKEN[1]},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["job_id"]

    def test_no_call_fails_and_no_end_is_missed(self):
        stopped = threading.Event()
        failed, calls, ends, resumed = [], [0], [], [0]

        def call(number):
            while not stopped.is_set():
                try:
                    self.stub.GetJob(
                        jobs_pb2.GetJobRequest(project_id="p", job_id="endless"),
                        metadata=metadata(f"spread-{number}-{calls[0]}"), timeout=20,
                    )
                    calls[0] += 1
                except grpc.RpcError as error:
                    failed.append((error.code(), error.details()))

        def follow(job):
            """A client as the README says: it takes up a watch that ends with UNAVAILABLE."""
            token = ""
            while True:
                try:
                    for event in self.watch(job, token):
                        token = event.resume_token or token
                        if event.WhichOneof("event") == "job":
                            last = event.job.status
                    ends.append((job, last))
                    return
                except grpc.RpcError as error:
                    if error.code() != grpc.StatusCode.UNAVAILABLE:
                        failed.append((error.code(), error.details()))
                        return
                    resumed[0] += 1

        callers = [threading.Thread(target=call, args=(n,)) for n in range(4)]
        for caller in callers:
            caller.start()
        followers = []
        for place in range(2):
            # Some jobs end while a replica does, some after.
            for _ in range(10):
                follower = threading.Thread(target=follow, args=(self.backup(),))
                follower.start()
                followers.append(follower)
            old = self.gateways[place]
            old.terminate()
            until(lambda: self.envoy.healthy() == 1, "Envoy hears that the replica stops")
            self.assertIsNone(old.process.poll(), "it went before Envoy knew")
            self.assertEqual(old.process.wait(60), 0)
            self.gateways[place] = self.start(old.port)
            until(lambda: self.envoy.healthy() == 2, "Envoy finds the new replica")
        for follower in followers:
            follower.join(120)
            self.assertFalse(follower.is_alive())
        stopped.set()
        for caller in callers:
            caller.join(60)
        self.assertEqual(failed, [])
        self.assertEqual([last for _, last in ends], [jobs_pb2.JOB_STATUS_SUCCESS] * 20)
        self.assertGreater(calls[0], 100)
        self.assertGreater(resumed[0], 0, "no watch was cut: the test shows nothing")


if __name__ == "__main__":
    unittest.main()
