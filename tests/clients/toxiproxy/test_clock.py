"""The machine's clock is set, by days, forth and back. Intervals are not counted by it."""

import contextlib
import datetime
import glob
import json
import pathlib
import signal
import tempfile
import time
import unittest

from clients import Client, Follower
from processes import Gateway, Simulator, until

STEPS = ("+2d", "-2d", "+0", "+400d", "+0")
SCRIPT = """
[tokens]
accept = "any"
lifetime = "2s"

[keys]
known = { AKCLOCK = "a secret key" }

[[job]]
project = "p"
id = "j"
[job.life]
phase = [{ status = "RUNNING" }]

[start.create]
phase = [{ status = "INIT" }, { after = "6s", status = "SUCCESS" }]
"""


class Clock(unittest.TestCase):
    def setUp(self):
        self.simulator = Simulator(SCRIPT)
        self.addCleanup(self.simulator.stop)
        folder = tempfile.TemporaryDirectory(prefix="toxic-")
        self.addCleanup(folder.cleanup)
        self.offset = pathlib.Path(folder.name, "offset")
        self.set("+0")

    def set(self, offset):
        new = self.offset.with_suffix(".new")
        new.write_text(f"{offset}\n")
        new.rename(self.offset)

    def gateway(self, *more, **env):
        [faker] = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        gateway = Gateway(self.simulator.address, *more, env={
            "LD_PRELOAD": faker, "FAKETIME_TIMESTAMP_FILE": str(self.offset),
            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", **env,
        })
        self.addCleanup(lambda: self.assertEqual(gateway.stop(), 0))
        client = Client(gateway.address)
        self.addCleanup(client.close)
        return gateway, client

    @contextlib.contextmanager
    def steady(self, gateway, metric, per_second):
        """Whatever is counted goes on in between, and no faster than it may."""
        before, begun = gateway.metrics().get(metric, 0), time.monotonic()
        yield
        until(lambda: gateway.metrics().get(metric, 0) >= before + 2, f"{metric} goes on")
        count = gateway.metrics()[metric] - before
        most = (time.monotonic() - begun) * per_second + 3
        self.assertLessEqual(count, most, metric)

    def test_watches_keep_their_pace(self):
        gateway, client = self.gateway()
        follower = Follower(client, self.simulator.backup())
        until(lambda: follower.last, "the watch has begun")
        quiet = client.watch("j")
        self.addCleanup(quiet.cancel)
        next(quiet)
        for step in STEPS:
            # Two jobs, each at most every tenth of a second.
            with self.steady(gateway, "jobgate_polls_total", 20):
                self.set(step)
                for _ in range(2):
                    self.assertTrue(next(quiet).HasField("heartbeat"))
            self.assertEqual(client.outcome("j"), "OK")
        until(follower.ended, "the watch has ended")
        self.assertEqual((follower.last, follower.resumed), ("JOB_STATUS_SUCCESS", []))
        records = until(
            lambda: (c := gateway.calls()) and len(c) == len(STEPS) + 1 and c, "all is logged"
        )
        for record in records:
            self.assertTrue(0 <= record["duration_ms"] < 120_000, record)
        years = {datetime.datetime.fromisoformat(it["timestamp"]).year for it in records}
        self.assertGreater(len(years), 1, "the clock was not set: the test shows nothing")

    def test_a_token_is_renewed_when_it_has_to_be(self):
        gateway, client = self.gateway(
            "--credentials", "password", "--iam-url", f"http://{self.simulator.address}",
            "--iam-user", "u", "--iam-domain", "d", "--iam-project", "p",
            JOBGATE_IAM_PASSWORD="any",
        )
        for step in STEPS[:3]:
            # Renewed when four fifths of two seconds are over.
            with self.steady(gateway, "jobgate_credentials_renewals_total", 0.7):
                self.set(step)
                self.assertEqual(client.outcome("j"), "OK")
            self.assertEqual(client.outcome("j"), "OK")

    def test_a_key_is_not_burnt_by_a_wrong_clock(self):
        gateway, client = self.gateway(
            "--credentials", "aksk", "--access-key", "AKCLOCK", JOBGATE_SECRET_KEY="a secret key",
        )
        self.assertEqual(client.outcome("j"), "OK")
        self.set("+2d")
        before = gateway.metrics()["http_client_request_duration_seconds_count"]
        for _ in range(10):
            self.assertEqual(client.outcome("j"), "GATEWAY_CREDENTIALS_REJECTED")
        sent = gateway.metrics()["http_client_request_duration_seconds_count"] - before
        # Clouds lock a key after five wrong signatures.
        self.assertLess(sent, 5)
        self.set("+0")
        gateway.signal(signal.SIGHUP)
        until(lambda: client.outcome("j") == "OK", "the key is good again")


if __name__ == "__main__":
    unittest.main()
