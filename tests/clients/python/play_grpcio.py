"""Plays the scenarios with grpcio."""

import concurrent.futures
import sys
import time

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

import snippet
from jobgate.v1 import jobs_pb2
from playing import *


def plain(token=TOKEN, address=ADDRESS):
    """A client that repeats nothing."""
    return snippet.plaintext(address, token, {})


def fails(code, call):
    """The error that the call ends with."""
    try:
        call()
    except grpc.RpcError as error:
        same(error.code(), code)
        return error
    raise AssertionError("no error")


def open_watch(client, job, token="", **more):
    request = jobs_pb2.WatchJobRequest(project_id="p", job_id=job, resume_token=token)
    return client.stub.WatchJob(request, metadata=client.metadata, **more)


def example_job():
    check_example(CLIENT.get("p", EXAMPLE))


def entity_shapes():
    check_entities(CLIENT.get("p", "entities"))


def field_presence():
    check_presence(*(CLIENT.get("p", job) for job in ("absent", "blank", "nested")))


def sub_jobs():
    check_sub_jobs(CLIENT.get("p", "nested"))


def large_job():
    check_large(CLIENT.get("p", "large"))


def error_codes():
    for line in table("errors.txt"):
        job, code = line.split(" ")[:2]
        get, watch = plain(f"{TOKEN}-get-{job}"), plain(f"{TOKEN}-watch-{job}")
        for call in (lambda: get.get("p", job), lambda: list(open_watch(watch, job))):
            check_error(fails(grpc.StatusCode[code], call), line)


def credentials_missing():
    client = plain()
    client.metadata = ()
    error = fails(grpc.StatusCode.UNAUTHENTICATED, lambda: client.get("p", EXAMPLE))
    same(snippet.reason(error), "CREDENTIALS_MISSING")


def call_credentials():
    check_example(snippet.tls(SECURE, TOKEN, authority()).get("p", EXAMPLE))


def special_message():
    error = fails(grpc.StatusCode.ABORTED, lambda: CLIENT.get("p", "message"))
    assert table("message.txt")[0] in error.details(), error.details()


def pushback():
    client = snippet.plaintext(ADDRESS, f"{TOKEN}-pushback", HASTY)
    begun = time.monotonic()
    same(client.get("p", "pushback").status, jobs_pb2.JOB_STATUS_RUNNING)
    assert time.monotonic() - begun > 1.9, "did not wait"


def deadline():
    passed = grpc.StatusCode.DEADLINE_EXCEEDED
    fails(passed, lambda: CLIENT.get("p", "slow", timeout=0.3))
    watch = open_watch(CLIENT, "endless", timeout=2)
    assert next(watch).HasField("job")
    fails(passed, lambda: list(watch))
    none_left()


def cancel_after_begin():
    watch = open_watch(CLIENT, "slow")
    watch.cancel()
    fails(grpc.StatusCode.CANCELLED, lambda: list(watch))
    none_left()


def cancel_after_first_response():
    watch = open_watch(CLIENT, "endless")
    assert next(watch).HasField("job")
    watch.cancel()
    fails(grpc.StatusCode.CANCELLED, lambda: list(watch))
    none_left()


def watch_to_end():
    check_history(list(CLIENT.watch("p", ask("backup"))))
    none_left()


def taken_up(client, line):
    """A watch that goes on after what the runner is asked to do."""
    watch = client.watch("p", "endless")
    first = next(watch)
    assert first.HasField("job")
    ask(line)
    begun = time.time_ns()
    for response in watch:
        check_heartbeat(response, first)
        if response.observe_time.ToNanoseconds() > begun:
            break
    watch.close()


def watch_resume():
    taken_up(CLIENT, "restart")
    (last,) = CLIENT.watch("p", EXAMPLE)
    same(list(open_watch(CLIENT, EXAMPLE, last.resume_token)), [])
    none_left()


def watch_resume_killed():
    taken_up(CLIENT, "kill")


def watch_silent():
    taken_up(snippet.plaintext(RELAY, TOKEN), "silence")


def watch_pushback():
    watch = plain(f"{TOKEN}-watch-pushback").watch("p", "pushback")
    begun = time.monotonic()
    same(next(watch).job.status, jobs_pb2.JOB_STATUS_RUNNING)
    assert time.monotonic() - begun > 1.9, "did not wait"
    watch.close()


def gzip():
    client = plain()
    for job in (LONG, "large"):
        request = jobs_pb2.GetJobRequest(project_id="p", job_id=job)
        found = client.stub.GetJob(
            request, metadata=client.metadata, compression=grpc.Compression.Gzip
        )
        same(found.status, jobs_pb2.JOB_STATUS_RUNNING)
    check_large(found)


def unknown(path):
    channel = grpc.insecure_channel(ADDRESS)
    call = channel.unary_unary(path)
    return fails(grpc.StatusCode.UNIMPLEMENTED, lambda: call(b"", metadata=CLIENT.metadata))


def unimplemented_method():
    error = unknown("/jobgate.v1.JobService/NoSuchMethod")
    same(snippet.reason(error), "METHOD_NOT_IMPLEMENTED")


def unimplemented_service():
    unknown("/jobgate.v1.NoSuchService/GetJob")


def metadata():
    request = jobs_pb2.GetJobRequest(project_id="p", job_id=EXAMPLE)
    job, call = CLIENT.stub.GetJob.with_call(request, metadata=[
        ("authorization", f"Bearer {TOKEN}"),
        ("x-request-id", "interop"),
        ("x-long", "l" * 4000),
        ("x-odd-bin", b"\x00\xff\xab"),
    ])
    check_example(job)
    same(dict(call.initial_metadata())["x-request-id"], "interop")


def goaway():
    client = plain(address=AGING)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        check_example(client.get("p", EXAMPLE))


def soak():
    client = plain()
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        for job in pool.map(lambda _: client.get("p", EXAMPLE), range(1000)):
            check_example(job)


def health():
    stub = health_pb2_grpc.HealthStub(grpc.insecure_channel(ADDRESS))
    ours = health_pb2.HealthCheckRequest(service="jobgate.v1.JobService")
    same(stub.Check(ours).status, health_pb2.HealthCheckResponse.SERVING)
    watch = stub.Watch(ours)
    same(next(watch).status, health_pb2.HealthCheckResponse.SERVING)
    watch.cancel()
    other = health_pb2.HealthCheckRequest(service="no.such")
    fails(grpc.StatusCode.NOT_FOUND, lambda: stub.Check(other))


def reflection():
    database = ProtoReflectionDescriptorDatabase(grpc.insecure_channel(ADDRESS))
    assert "jobgate.v1.JobService" in database.get_services()
    service = DescriptorPool(database).FindServiceByName("jobgate.v1.JobService")
    same(sorted(method.name for method in service.methods), ["GetJob", "WatchJob"])


if __name__ == "__main__":
    if sys.argv[1:] == ["version"]:
        print(version())
        sys.exit()
    CLIENT = snippet.plaintext(ADDRESS, TOKEN)
    for name in sys.argv[1:]:
        try:
            globals()[name]()
        except Exception as problem:
            say(name, problem)
        else:
            say(name)
