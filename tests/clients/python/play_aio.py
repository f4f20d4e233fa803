"""Plays the scenarios with grpcio's asyncio."""

import asyncio
import sys
import time

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

import snippet_aio
from jobgate.v1 import jobs_pb2
from playing import *
from snippet import reason


def plain(token=TOKEN, address=ADDRESS):
    """A client that repeats nothing."""
    return snippet_aio.plaintext(address, token, {})


async def fails(code, call):
    """The error that the call ends with."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        same(error.code(), code)
        return error
    raise AssertionError("no error")


async def read(responses):
    return [response async for response in responses]


def open_watch(client, job, token="", **more):
    request = jobs_pb2.WatchJobRequest(project_id="p", job_id=job, resume_token=token)
    return client.stub.WatchJob(request, metadata=client.metadata, **more)


async def example_job(client):
    check_example(await client.get("p", EXAMPLE))


async def entity_shapes(client):
    check_entities(await client.get("p", "entities"))


async def field_presence(client):
    check_presence(*[await client.get("p", job) for job in ("absent", "blank", "nested")])


async def sub_jobs(client):
    check_sub_jobs(await client.get("p", "nested"))


async def large_job(client):
    check_large(await client.get("p", "large"))


async def error_codes(_):
    for line in table("errors.txt"):
        job, code = line.split(" ")[:2]
        get, watch = plain(f"{TOKEN}-get-{job}"), plain(f"{TOKEN}-watch-{job}")
        for call in (get.get("p", job), read(open_watch(watch, job))):
            check_error(await fails(grpc.StatusCode[code], call), line)


async def credentials_missing(_):
    client = plain()
    client.metadata = ()
    error = await fails(grpc.StatusCode.UNAUTHENTICATED, client.get("p", EXAMPLE))
    same(reason(error), "CREDENTIALS_MISSING")


async def call_credentials(_):
    check_example(await snippet_aio.tls(SECURE, TOKEN, authority()).get("p", EXAMPLE))


async def special_message(client):
    error = await fails(grpc.StatusCode.ABORTED, client.get("p", "message"))
    assert table("message.txt")[0] in error.details(), error.details()


async def pushback(_):
    client = snippet_aio.plaintext(ADDRESS, f"{TOKEN}-pushback", HASTY)
    begun = time.monotonic()
    same((await client.get("p", "pushback")).status, jobs_pb2.JOB_STATUS_RUNNING)
    assert time.monotonic() - begun > 1.9, "did not wait"


async def deadline(client):
    passed = grpc.StatusCode.DEADLINE_EXCEEDED
    await fails(passed, client.get("p", "slow", timeout=0.3))
    watch = aiter(open_watch(client, "endless", timeout=2))
    assert (await anext(watch)).HasField("job")
    await fails(passed, read(watch))
    await asyncio.to_thread(none_left)


async def cancelled(watch):
    watch.cancel()
    try:
        await watch.read()
    except asyncio.CancelledError:
        same(await watch.code(), grpc.StatusCode.CANCELLED)
        return
    raise AssertionError("no error")


async def cancel_after_begin(client):
    await cancelled(open_watch(client, "slow"))
    await asyncio.to_thread(none_left)


async def cancel_after_first_response(client):
    watch = open_watch(client, "endless")
    assert (await watch.read()).HasField("job")
    await cancelled(watch)
    await asyncio.to_thread(none_left)


async def watch_to_end(client):
    check_history(await read(client.watch("p", ask("backup"))))
    await asyncio.to_thread(none_left)


async def taken_up(client, line):
    """A watch that goes on after what the runner is asked to do."""
    watch = client.watch("p", "endless")
    first = await anext(watch)
    assert first.HasField("job")
    ask(line)
    begun = time.time_ns()
    async for response in watch:
        check_heartbeat(response, first)
        if response.observe_time.ToNanoseconds() > begun:
            break
    await watch.aclose()


async def watch_resume(client):
    await taken_up(client, "restart")
    (last,) = await read(client.watch("p", EXAMPLE))
    same(await read(open_watch(client, EXAMPLE, last.resume_token)), [])
    await asyncio.to_thread(none_left)


async def watch_resume_killed(client):
    await taken_up(client, "kill")


async def watch_silent(_):
    await taken_up(snippet_aio.plaintext(RELAY, TOKEN), "silence")


async def watch_pushback(_):
    watch = plain(f"{TOKEN}-watch-pushback").watch("p", "pushback")
    begun = time.monotonic()
    same((await anext(watch)).job.status, jobs_pb2.JOB_STATUS_RUNNING)
    assert time.monotonic() - begun > 1.9, "did not wait"
    await watch.aclose()


async def gzip(client):
    for job in (LONG, "large"):
        request = jobs_pb2.GetJobRequest(project_id="p", job_id=job)
        found = await client.stub.GetJob(
            request, metadata=client.metadata, compression=grpc.Compression.Gzip
        )
        same(found.status, jobs_pb2.JOB_STATUS_RUNNING)
    check_large(found)


async def unknown(client, path):
    call = grpc.aio.insecure_channel(ADDRESS).unary_unary(path)
    return await fails(grpc.StatusCode.UNIMPLEMENTED, call(b"", metadata=client.metadata))


async def unimplemented_method(client):
    error = await unknown(client, "/jobgate.v1.JobService/NoSuchMethod")
    same(reason(error), "METHOD_NOT_IMPLEMENTED")


async def unimplemented_service(client):
    await unknown(client, "/jobgate.v1.NoSuchService/GetJob")


async def metadata(client):
    request = jobs_pb2.GetJobRequest(project_id="p", job_id=EXAMPLE)
    call = client.stub.GetJob(request, metadata=(
        ("authorization", f"Bearer {TOKEN}"),
        ("x-request-id", "interop"),
        ("x-long", "l" * 4000),
        ("x-odd-bin", b"\x00\xff\xab"),
    ))
    same((await call.initial_metadata())["x-request-id"], "interop")
    check_example(await call)


async def goaway(_):
    client = plain(address=AGING)
    end = time.monotonic() + 3
    while time.monotonic() < end:
        check_example(await client.get("p", EXAMPLE))


async def soak(_):
    client = plain()
    for _ in range(100):
        calls = (client.get("p", EXAMPLE) for _ in range(10))
        for job in await asyncio.gather(*calls):
            check_example(job)


async def health(_):
    stub = health_pb2_grpc.HealthStub(grpc.aio.insecure_channel(ADDRESS))
    ours = health_pb2.HealthCheckRequest(service="jobgate.v1.JobService")
    same((await stub.Check(ours)).status, health_pb2.HealthCheckResponse.SERVING)
    watch = stub.Watch(ours)
    same((await watch.read()).status, health_pb2.HealthCheckResponse.SERVING)
    watch.cancel()
    other = health_pb2.HealthCheckRequest(service="no.such")
    await fails(grpc.StatusCode.NOT_FOUND, stub.Check(other))


async def reflection(_):
    stub = reflection_pb2_grpc.ServerReflectionStub(grpc.aio.insecure_channel(ADDRESS))
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    async for answer in stub.ServerReflectionInfo(iter([request])):
        names = [service.name for service in answer.list_services_response.service]
        assert "jobgate.v1.JobService" in names, names


async def main(names):
    client = snippet_aio.plaintext(ADDRESS, TOKEN)
    for name in names:
        try:
            await globals()[name](client)
        except Exception as problem:
            say(name, problem)
        else:
            say(name)


if __name__ == "__main__":
    if sys.argv[1:] == ["version"]:
        print(version())
    else:
        asyncio.run(main(sys.argv[1:]))
