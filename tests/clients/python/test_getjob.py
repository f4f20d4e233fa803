"""GetJob, health and reflection as grpcio sees them."""

import unittest

import grpc
from google.protobuf import descriptor_pool
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from grpc_status import rpc_status

from jobgate.v1 import jobs_pb2, jobs_pb2_grpc
from servers import TOKEN, serve, simulate, stop


class GetJob(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.simulator, rest = simulate()
        cls.gateway, cls.address = serve(rest)
        cls.channel = grpc.insecure_channel(cls.address)
        cls.stub = jobs_pb2_grpc.JobServiceStub(cls.channel)

    @classmethod
    def tearDownClass(cls):
        cls.channel.close()
        code, log = stop(cls.gateway)
        assert code == 0, code
        assert "python-token" not in log, "a token was logged"
        assert stop(cls.simulator)[0] == 0

    def get(self, job, project="p", metadata=TOKEN, **more):
        request = jobs_pb2.GetJobRequest(project_id=project, job_id=job)
        return self.stub.GetJob(request, metadata=metadata, **more)

    def fails(self, code, reason, job, **more):
        with self.assertRaises(grpc.RpcError) as caught:
            self.get(job, **more)
        error = caught.exception
        self.assertEqual(error.code(), code, error)
        details = {}
        for any_ in rpc_status.from_call(error).details:
            message = getattr(error_details_pb2, any_.TypeName().split(".")[-1])()
            self.assertTrue(any_.Unpack(message))
            details[type(message).__name__] = message
        self.assertEqual(details["ErrorInfo"].reason, reason)
        self.assertEqual(details["ErrorInfo"].domain, "jobgate")
        return error, details

    def test_a_job_comes_through_whole(self):
        job = self.get("whole")
        self.assertEqual(job.status, jobs_pb2.JOB_STATUS_SUCCESS)
        self.assertEqual(
            dict(job.entities), {"backup_id": "b", "size": "40", "list": "[1,2]", "flag": "true"}
        )
        self.assertEqual(job.begin_time.ToJsonString(), "2016-01-28T16:14:09.466Z")
        self.assertFalse(job.HasField("error_code"))
        sub = job.sub_jobs[0]
        self.assertEqual((sub.job_id, sub.error_code), ("sub", "VolumeBackup.0064"))
        self.assertTrue(sub.HasField("fail_reason"))
        deepest = sub.sub_jobs[0]
        self.assertEqual(deepest.status, jobs_pb2.JOB_STATUS_UNSPECIFIED)
        self.assertEqual(deepest.status_text, "weird")

    def test_a_bearer_token_is_taken(self):
        self.get("whole", metadata=(("authorization", "Bearer t"),))

    def test_a_passing_fault_is_mended(self):
        self.assertEqual(self.get("mended").status, jobs_pb2.JOB_STATUS_RUNNING)

    def test_compressed_requests_are_read(self):
        self.get("whole", compression=grpc.Compression.Gzip)

    def test_an_unknown_job_is_named(self):
        _, details = self.fails(grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND", "none")
        self.assertEqual(details["ResourceInfo"].resource_name, "projects/p/jobs/none")
        self.assertEqual(details["ErrorInfo"].metadata["upstream_code"], "common.0011")
        self.assertEqual(details["ErrorInfo"].metadata["upstream_http_status"], "404")
        self.assertTrue(details["RequestInfo"].request_id)

    def test_a_throttled_call_says_how_long_to_wait(self):
        error, details = self.fails(
            grpc.StatusCode.RESOURCE_EXHAUSTED, "UPSTREAM_THROTTLED", "throttled"
        )
        self.assertEqual(details["RetryInfo"].retry_delay.seconds, 7)
        self.assertIn(("grpc-retry-pushback-ms", "7000"), error.trailing_metadata())
        self.assertIn("limit:200 ü 备份 %", error.details())

    def test_a_page_is_a_wrong_route(self):
        self.fails(grpc.StatusCode.UNIMPLEMENTED, "UPSTREAM_ROUTE_NOT_FOUND", "page")

    def test_a_bad_id_is_named(self):
        _, details = self.fails(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", "../x")
        self.assertEqual(details["BadRequest"].field_violations[0].field, "job_id")

    def test_a_missing_token_is_said(self):
        self.fails(
            grpc.StatusCode.UNAUTHENTICATED, "CREDENTIALS_MISSING", "whole", metadata=()
        )

    def test_a_deadline_is_kept(self):
        with self.assertRaises(grpc.RpcError) as caught:
            self.get("slow", timeout=0.3)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.DEADLINE_EXCEEDED)

    def test_health_knows_the_services(self):
        health = health_pb2_grpc.HealthStub(self.channel)
        serving = health_pb2.HealthCheckResponse.SERVING
        for service in ("", "jobgate.v1.JobService"):
            answer = health.Check(health_pb2.HealthCheckRequest(service=service))
            self.assertEqual(answer.status, serving)
            watch = health.Watch(health_pb2.HealthCheckRequest(service=service))
            self.assertEqual(next(watch).status, serving)
            watch.cancel()
        with self.assertRaises(grpc.RpcError) as caught:
            health.Check(health_pb2.HealthCheckRequest(service="no.such"))
        self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)
        watch = health.Watch(health_pb2.HealthCheckRequest(service="no.such"))
        unknown = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        self.assertEqual(next(watch).status, unknown)
        watch.cancel()

    def test_reflection_gives_the_contract(self):
        database = ProtoReflectionDescriptorDatabase(self.channel)
        self.assertIn("jobgate.v1.JobService", database.get_services())
        pool = descriptor_pool.DescriptorPool(database)
        service = pool.FindServiceByName("jobgate.v1.JobService")
        self.assertEqual(sorted(m.name for m in service.methods), ["GetJob", "WatchJob"])
        job = pool.FindMessageTypeByName("jobgate.v1.Job")
        self.assertEqual(job.fields_by_name["sub_jobs"].message_type, job)


if __name__ == "__main__":
    unittest.main()
