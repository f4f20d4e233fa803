"""Plays the scenarios with tools of the command line, as far as each can; see ../interop/scenarios.md."""

import json
import os
import pathlib
import sys

from callers import Buf, Grpcurl, command, go_version

ADDRESS = os.environ.get("JOBGATE_ADDRESS")
AGING = os.environ.get("JOBGATE_AGING_ADDRESS")
SECURE, CA = os.environ.get("JOBGATE_TLS_ADDRESS"), os.environ.get("JOBGATE_CA")
TOKEN = os.environ.get("JOBGATE_TOKEN")
EXAMPLE = "4010b39b5281d3590152874bfa3b1604"
SERVICE = "jobgate.v1.JobService"
STATES = ["INIT", "RUNNING", "SUCCESS"]


def table(name):
    text = pathlib.Path(os.environ["JOBGATE_TABLES"], name).read_text()
    return text.removesuffix("\n").split("\n")


def ask(line):
    """Asks the runner something."""
    print(line, flush=True)
    return input()


def same(found, expected, what=""):
    if found != expected:
        raise AssertionError(f"{what} {found!r} is not {expected!r}")


class Caller:
    """A tool that makes one call and shows what comes."""

    def __init__(self, tool):
        self.tool, self.version = tool, tool.version

    def call(self, method, job, token=TOKEN, address=ADDRESS, headers=(), **more):
        headers = [*headers, f"x-auth-token: {token}"] if token else headers
        request = {"project_id": "p", "job_id": job}
        return self.tool.call(address, f"{SERVICE}/{method}", request, headers, **more)

    def get(self, job, **more):
        answer = self.call("GetJob", job, **more)
        same(answer.code, "OK", answer.text)
        (found,) = answer.messages
        return found

    def example_job(self, **more):
        job = self.get(EXAMPLE, **more)
        same([job[name] for name in ("jobId", "jobType", "status", "statusText", "beginTime", "endTime")],
             [EXAMPLE, "bksCreateBackup", "JOB_STATUS_SUCCESS", "SUCCESS", "2016-01-28T16:14:09.466Z",
              "2016-01-28T16:25:27.690Z"])
        same(job["entities"], {
            "bks_create_volume_name": "autobk_volume",
            "backup_id": "ba5401a2-7cd2-4c01-8c0d-c936ab412d6d",
            "volume_id": "7e5fdc5a-5e36-4b22-8bcc-7f17037290cc",
            "snapshot_id": "a77a96bf-dd18-40bf-a446-fdcefc1719ec",
        })
        same([name for name in ("errorCode", "failReason") if name in job], [])
        same(job.get("subJobs", []), [])

    def entity_shapes(self):
        expected = dict(line.split(" ", 1) for line in table("entities.txt"))
        same(self.get("entities")["entities"], expected)

    def field_presence(self):
        fields = {"beginTime", "endTime", "errorCode", "failReason"}
        for job, expected in ("absent", set()), ("blank", set()), ("nested", fields):
            same(fields & {name for name, value in self.get(job).items() if value is not None}, expected)

    def sub_jobs(self):
        job = self.get("nested")
        same([job["status"], job["errorCode"], job["failReason"]],
             ["JOB_STATUS_FAIL", "VolumeBackup.0064", "no room"])
        first, second = job["subJobs"]
        (third,) = second["subJobs"]
        same([sub.get("status", "JOB_STATUS_UNSPECIFIED") for sub in (first, second, third)],
             ["JOB_STATUS_SUCCESS", "JOB_STATUS_FAIL", "JOB_STATUS_UNSPECIFIED"])
        same([first["jobId"], second["jobId"], third["jobId"]], ["first", "second", "third"])
        same(third["statusText"], "PENDING_PAYMENT")

    def large_job(self):
        entities = self.get("large")["entities"]
        assert int(entities["length"]) > 4_000_000
        assert entities["text"] == "x" * int(entities["length"]), "another text"

    def error_codes(self):
        for line in table("errors.txt"):
            job, code, reason, http, others = line.split(" ")
            for method in "GetJob", "WatchJob":
                answer = self.call(method, job, token=f"{TOKEN}-{method}-{job}")
                found = answer.details
                info = found.pop("ErrorInfo")
                same([answer.code, info["domain"], info["reason"]], [code, "jobgate", reason], job)
                same(info.get("metadata", {}).get("upstream_http_status", "-"), http, job)
                same(",".join(sorted(found)), others, job)
                if "BadRequest" in found:
                    same(found["BadRequest"]["fieldViolations"][0]["field"], "job_id")
                if "ResourceInfo" in found:
                    same(found["ResourceInfo"]["resourceName"], f"projects/p/jobs/{job}")
                if "RequestInfo" in found:
                    assert found["RequestInfo"]["requestId"]
                if "RetryInfo" in found:
                    assert float(found["RetryInfo"]["retryDelay"].rstrip("s")) > 5

    def credentials_missing(self):
        answer = self.call("GetJob", EXAMPLE, token=None)
        same([answer.code, answer.details["ErrorInfo"]["reason"]], ["UNAUTHENTICATED", "CREDENTIALS_MISSING"])

    def call_credentials(self):
        self.example_job(address=SECURE, ca=CA)

    def special_message(self):
        answer = self.call("GetJob", "message")
        same(answer.code, "ABORTED")
        assert table("message.txt")[0] in answer.text, answer.text

    def deadline(self):
        same(self.call("GetJob", "slow", timeout=0.3).code, "DEADLINE_EXCEEDED")
        # It counts from the program's start.
        watch = self.call("WatchJob", "endless", timeout=5)
        same([watch.code, len(watch.messages) > 0], ["DEADLINE_EXCEEDED", True], watch.text)
        same(watch.messages[0]["job"]["statusText"], "RUNNING")
        same(ask("watchers"), "0")

    def watch_to_end(self):
        answer = self.call("WatchJob", ask("backup"))
        same(answer.code, "OK", answer.text)
        states = [message["job"]["statusText"] for message in answer.messages if message.get("job")]
        same(states[-1], "SUCCESS")
        same(states, [state for state in STATES if state in states])
        assert all(message["resumeToken"] and message["observeTime"] for message in answer.messages)
        same(ask("watchers"), "0")

    def metadata(self):
        headers = [f"authorization: Bearer {TOKEN}", "x-request-id: interop", f"x-long: {'l' * 4000}",
                   "x-odd-bin: AP+r"]
        answer = self.call("GetJob", EXAMPLE, token=None, headers=headers)
        same(answer.messages[0]["jobId"], EXAMPLE)
        assert "x-request-id: interop" in answer.headers, answer.headers

    def health(self):
        def ask_of(method, service, **more):
            return self.tool.call(ADDRESS, f"grpc.health.v1.Health/{method}", {"service": service}, (), **more)

        same(ask_of("Check", SERVICE).messages, [{"status": "SERVING"}])
        same(ask_of("Watch", SERVICE, timeout=3).messages[:1], [{"status": "SERVING"}])
        same(ask_of("Check", "no.such").code, "NOT_FOUND")

    def reflection(self):
        names = self.tool.services(ADDRESS)
        assert SERVICE in names, names


class Probe:
    """grpc-health-probe; its exit code is 3 if the server knows no such service."""

    def version(self):
        return go_version("grpc-health-probe")

    def probe(self, service, address, *flags):
        return command("grpc-health-probe", f"-addr={address}", f"-service={service}", *flags).returncode

    def health(self):
        same(self.probe(SERVICE, ADDRESS), 0)
        same(self.probe(SERVICE, SECURE, "-tls", f"-tls-ca-cert={CA}"), 0)
        same(self.probe("no.such", ADDRESS), 3)


class Ghz:
    """It tells how many calls had which status, and which errors."""

    def version(self):
        return go_version("ghz")

    def report(self, job, *flags, method="GetJob", address=ADDRESS, token=TOKEN, ca=None):
        metadata = {"x-auth-token": token} if token else {}
        found = command("ghz", *(("--cacert", ca) if ca else ("--insecure",)), "-O", "json",
                        "-m", json.dumps(metadata), "-d", json.dumps({"project_id": "p", "job_id": job}),
                        "--call", f"{SERVICE}/{method}", *flags, address)
        assert found.returncode == 0, found.stderr
        return json.loads(found.stdout)

    def statuses(self, job, *flags, **more):
        return self.report(job, *flags, **more)["statusCodeDistribution"]

    def reflection(self):
        # It finds the schema so.
        same(self.statuses(EXAMPLE, "-n", "1", "-c", "1"), {"OK": 1})

    def credentials_missing(self):
        same(self.statuses(EXAMPLE, "-n", "1", "-c", "1", token=None), {"Unauthenticated": 1})

    def call_credentials(self):
        same(self.statuses(EXAMPLE, "-n", "1", "-c", "1", address=SECURE, ca=CA), {"OK": 1})

    def special_message(self):
        found = self.report("message", "-n", "1", "-c", "1")
        same(found["statusCodeDistribution"], {"Aborted": 1})
        (text,) = found["errorDistribution"]
        assert table("message.txt")[0] in text, text

    def deadline(self):
        same(self.statuses("slow", "-n", "1", "-c", "1", "-t", "300ms"), {"DeadlineExceeded": 1})
        same(self.statuses("endless", "-n", "1", "-c", "1", "-t", "2s", method="WatchJob"), {"DeadlineExceeded": 1})
        same(ask("watchers"), "0")

    def gzip(self):
        same(self.statuses("large", "-n", "1", "-c", "1", "-e"), {"OK": 1})

    def goaway(self):
        statuses = self.statuses(EXAMPLE, "-c", "1", "-z", "3s", "--duration-stop", "wait", address=AGING)
        same(list(statuses), ["OK"])

    def soak(self):
        same(self.statuses(EXAMPLE, "-n", "1000", "-c", "10"), {"OK": 1000})


TOOLS = {
    "grpcurl-old": Caller(Grpcurl()),
    "grpcurl": Caller(Grpcurl()),
    "buf-grpc": Caller(Buf("grpc")),
    "buf-web": Caller(Buf("grpcweb")),
    "grpc-health-probe": Probe(),
    "ghz": Ghz(),
}
ONE_METHOD = "calls only what the schema has"
ONE_CALL = "makes one call and does not take it up again"
REPEATS = "repeats no calls"
NO_ANSWERS = "shows no answers"
# Why a tool does not play a scenario; `None` for all of a tool's others.
ELSE = {
    Caller: {
        "pushback": REPEATS,
        "cancel_after_begin": "cancels nothing before the command itself is ended",
        "cancel_after_first_response": "cancels nothing before the command itself is ended",
        "watch_resume": ONE_CALL,
        "watch_resume_killed": ONE_CALL,
        "watch_silent": ONE_CALL,
        "watch_pushback": ONE_CALL,
        "gzip": "compresses no requests",
        "unimplemented_method": ONE_METHOD,
        "unimplemented_service": ONE_METHOD,
        "goaway": "keeps no connection for a second call",
        "soak": "keeps no connection for a second call",
    },
    Probe: {None: "asks for health alone"},
    Ghz: {
        "example_job": NO_ANSWERS,
        "entity_shapes": NO_ANSWERS,
        "field_presence": NO_ANSWERS,
        "sub_jobs": NO_ANSWERS,
        "large_job": NO_ANSWERS,
        "error_codes": "shows no details of errors",
        "pushback": REPEATS,
        "cancel_after_begin": "cancels nothing before a first answer",
        "cancel_after_first_response": NO_ANSWERS,
        "watch_to_end": NO_ANSWERS,
        "watch_resume": NO_ANSWERS,
        "watch_resume_killed": NO_ANSWERS,
        "watch_silent": NO_ANSWERS,
        "watch_pushback": REPEATS,
        "unimplemented_method": ONE_METHOD,
        "unimplemented_service": ONE_METHOD,
        "metadata": NO_ANSWERS,
        "health": NO_ANSWERS,
    },
}


def play(tool, name):
    scenario = getattr(tool, name, None)
    if not scenario:
        reasons = ELSE[type(tool)]
        reason = reasons.get(name) or reasons.get(None)
        return f"unsupported {name}: {reason}" if reason else f"failed {name}: not played, and nobody said why"
    try:
        scenario()
    except Exception as problem:
        return f"failed {name}: " + " ".join(f"{type(problem).__name__}: {problem}".split())
    return f"ok {name}"


if __name__ == "__main__":
    os.chdir(pathlib.Path(__file__).parent)
    tool = TOOLS[sys.argv[1]]
    if sys.argv[2:] == ["version"]:
        print(tool.version())
    else:
        for name in sys.argv[2:]:
            print(play(tool, name), flush=True)
