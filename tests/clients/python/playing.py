"""What the programs of both stacks share: tables, lines, and what answers must look like."""

import os
import pathlib
import platform

import grpc

from jobgate.v1 import jobs_pb2
from snippet import details

ADDRESS = os.environ.get("JOBGATE_ADDRESS")
AGING = os.environ.get("JOBGATE_AGING_ADDRESS")
RELAY = os.environ.get("JOBGATE_RELAY_ADDRESS")
SECURE = os.environ.get("JOBGATE_TLS_ADDRESS")
TOKEN = os.environ.get("JOBGATE_TOKEN")
EXAMPLE = "4010b39b5281d3590152874bfa3b1604"
LONG = "z" * 128

# A policy whose own waits are short, so that a long one was the server's wish.
HASTY = {
    "methodConfig": [{
        "name": [{}],
        "retryPolicy": {
            "maxAttempts": 4,
            "initialBackoff": "0.05s",
            "maxBackoff": "0.1s",
            "backoffMultiplier": 1,
            "retryableStatusCodes": ["RESOURCE_EXHAUSTED"],
        },
    }],
}


def version():
    return f"{grpc.__version__} on Python {platform.python_version()}"


def table(name):
    """The lines of a table."""
    text = pathlib.Path(os.environ["JOBGATE_TABLES"], name).read_text()
    return text.removesuffix("\n").split("\n")


def authority():
    return pathlib.Path(os.environ["JOBGATE_CA"]).read_bytes()


def ask(line):
    """Asks the runner something."""
    print(line, flush=True)
    return input()


def none_left():
    """No watch is left at the gateway, although the channel lives."""
    same(ask("watchers"), "0", "watchers left:")


def say(name, problem=None):
    if problem is None:
        print(f"ok {name}", flush=True)
    else:
        kind = "unsupported" if isinstance(problem, Unsupported) else "failed"
        text = " ".join(f"{type(problem).__name__}: {problem}".split())
        print(f"{kind} {name}: {text}", flush=True)


class Unsupported(Exception):
    """The stack can't do this, whoever uses it."""


def same(found, expected, what=""):
    if found != expected:
        raise AssertionError(f"{what} {found!r} is not {expected!r}")


def check_example(job):
    same(job.job_id, EXAMPLE)
    same(job.job_type, "bksCreateBackup")
    same(job.status, jobs_pb2.JOB_STATUS_SUCCESS)
    same(job.status_text, "SUCCESS")
    same(dict(job.entities), {
        "bks_create_volume_name": "autobk_volume",
        "backup_id": "ba5401a2-7cd2-4c01-8c0d-c936ab412d6d",
        "volume_id": "7e5fdc5a-5e36-4b22-8bcc-7f17037290cc",
        "snapshot_id": "a77a96bf-dd18-40bf-a446-fdcefc1719ec",
    })
    same(job.begin_time.ToJsonString(), "2016-01-28T16:14:09.466Z")
    same(job.end_time.ToJsonString(), "2016-01-28T16:25:27.690Z")
    same((job.HasField("error_code"), job.HasField("fail_reason")), (False, False))
    same(len(job.sub_jobs), 0)


def check_entities(job):
    same(dict(job.entities), dict(line.split(" ", 1) for line in table("entities.txt")))


def check_presence(*jobs):
    fields = ("begin_time", "end_time", "error_code", "fail_reason")
    found = [{job.HasField(field) for field in fields} for job in jobs]
    same(found, [{False}, {False}, {True}])


def check_sub_jobs(job):
    same(job.status, jobs_pb2.JOB_STATUS_FAIL)
    same((job.error_code, job.fail_reason), ("VolumeBackup.0064", "no room"))
    first, second = job.sub_jobs
    same((first.job_id, first.status), ("first", jobs_pb2.JOB_STATUS_SUCCESS))
    same((second.job_id, second.status), ("second", jobs_pb2.JOB_STATUS_FAIL))
    (third,) = second.sub_jobs
    same((third.job_id, third.status), ("third", jobs_pb2.JOB_STATUS_UNSPECIFIED))
    same(third.status_text, "PENDING_PAYMENT")


def check_large(job):
    length = int(job.entities["length"])
    assert length > 4_000_000, length
    assert job.entities["text"] == "x" * length, "another text"


def check_error(error, line):
    """The error is the one that a line of the table says."""
    job, code, reason, http, others = line.split(" ")
    same(error.code(), grpc.StatusCode[code], job)
    found = details(error)
    info = found.pop("ErrorInfo")
    same((info.domain, info.reason), ("jobgate", reason), job)
    same(info.metadata.get("upstream_http_status", "-"), http, job)
    same(",".join(sorted(found)), others, job)
    if "BadRequest" in found:
        same(found["BadRequest"].field_violations[0].field, "job_id")
    if "ResourceInfo" in found:
        same(found["ResourceInfo"].resource_name, f"projects/p/jobs/{job}")
    if "RequestInfo" in found:
        assert found["RequestInfo"].request_id, "no request id"
    if "RetryInfo" in found:
        assert 5 < found["RetryInfo"].retry_delay.seconds <= 7, found["RetryInfo"]


def check_heartbeat(response, first):
    """Nothing has changed since a first response."""
    assert response.HasField("heartbeat"), response
    same(response.resume_token, first.resume_token)


def check_history(responses):
    states = [response.job.status_text for response in responses if response.HasField("job")]
    same(states[-1], "SUCCESS")
    same(states, [state for state in ("INIT", "RUNNING", "SUCCESS") if state in states])
    times = [response.observe_time.ToNanoseconds() for response in responses]
    same(times, sorted(times))
    assert all(response.resume_token for response in responses), "no resume token"
