"""More of all than usual: idle connections, readers that do not read, refusals, faults by turns."""

import socket
import threading
import unittest

from clients import Client, Follower
from processes import Gateway, Simulator, until

IDLE = 1000
ROUNDS = 4
READERS = 100
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
LARGE = "x" * 20_000

# A job that changes all the time, for long enough that buffers would fill.
BUSY = f"""
[[job]]
project = "p"
id = "quiet"
[job.life]
phase = [{{ status = "RUNNING" }}]

[start.create]
entities = {{ text = "{LARGE}" }}
phase = [
  {{ status = "INIT" }},
""" + "".join(
    f'  {{ after = "{50 * n}ms", status = "RUNNING", entities = {{ step = {n} }} }},\n'
    for n in range(1, 160)
) + """  { after = "8s", status = "SUCCESS" },
]
"""

THROTTLED = """
[throttle]
limit = 20
per = "1s"

[start.create]
phase = [{ status = "INIT" }, { after = "4s", status = "SUCCESS" }]

[[job]]
project = "p"
id = "j"
[job.life]
phase = [{ status = "RUNNING" }]
"""

# Good and bad spells of several kinds, one after the other.
SPELLS = """
[start.create]
phase = [{ status = "INIT" }, { after = "4s", status = "SUCCESS" }]
""" + "".join(
    f"""
[[fault]]
method = "GET"
path = "/jobs/"
skip = {4 + 6 * number}
times = 4
{kind}
""" for number, kind in enumerate([
        "status = 503", 'status = 502\nshape = "html"', 'status = 429\nlatency = "100ms"',
        "status = 500", 'status = 504\nlatency = "3s"', 'status = 500\nshape = "empty"',
        'status = 429\nheaders = { retry-after = "1" }', 'status = 503\ncode = "common.0021"',
    ])
)


class Crowds(unittest.TestCase):
    def start(self, script, *more):
        simulator = Simulator(script)
        self.addCleanup(simulator.stop)
        gateway = Gateway(simulator.address, *more)
        self.addCleanup(lambda: self.assertEqual(gateway.stop(), 0))
        return simulator, gateway

    def client(self, gateway, **more):
        client = Client(gateway.address, **more)
        self.addCleanup(client.close)
        return client

    def rests(self, gateway, connections=0):
        until(
            lambda: (rest := gateway.rest())["jobgate_connections"] == connections
            and rest["jobgate_watchers"] == rest["jobgate_pollers"] == rest["jobgate_streams"] == 0
            and rest,
            "the gateway rests",
        )

    def test_a_thousand_idle_connections_cost_little_and_leave_nothing(self):
        _, gateway = self.start(BUSY)
        client = self.client(gateway)
        self.assertEqual(client.outcome("quiet"), "OK")
        before, rss = gateway.rest(), gateway.rss_mib()
        address = tuple(gateway.address.split(":"))
        grown, kept = [], []
        for _ in range(ROUNDS):
            idle = [socket.create_connection((address[0], int(address[1]))) for _ in range(IDLE)]
            for it in idle:
                it.sendall(PREFACE)
            until(lambda: gateway.rest()["jobgate_connections"] > IDLE, "all are connected")
            self.assertEqual(client.outcome("quiet"), "OK")
            grown.append(round(gateway.rss_mib() - rss, 1))
            for it in idle:
                it.close()
            until(
                lambda: all(value <= before[name] for name, value in gateway.rest().items()),
                "the gateway holds what it held before",
            )
            kept.append(round(gateway.rss_mib() - rss, 1))
        print(f"{IDLE} idle connections: {grown} MiB more with them, {kept} MiB without")
        # The C library's allocator keeps what it has had, for the next crowd; what is not freed
        # would come on top of it, a crowd's worth for each.
        self.assertLess(kept[-1], 2 * max(kept[0], grown[0]))

    def test_readers_that_do_not_read_cost_a_state_and_still_get_the_last(self):
        simulator, gateway = self.start(BUSY)
        self.assertEqual(self.client(gateway).outcome("quiet"), "OK")
        rss = gateway.rss_mib()
        job = simulator.backup()
        slow = [self.client(gateway) for _ in range(10)]
        watches = [slow[n % 10].watch(job) for n in range(READERS)]
        for watch in watches:
            next(watch)
        reader = Follower(self.client(gateway), job)
        until(reader.ended, "the one that reads has seen the end")
        self.assertEqual((reader.last, reader.resumed), ("JOB_STATUS_SUCCESS", []))
        grown = gateway.rss_mib() - rss
        for watch in watches:
            last = [event for event in watch if event.HasField("job")][-1]
            self.assertEqual(last.job.entities["step"], "159")
        self.rests(gateway, connections=12)
        print(f"{READERS} slow readers of {len(LARGE)} bytes: {grown:+.1f} MiB")
        # What 160 states for each would be: over 300 MiB.
        self.assertLess(grown, 64)

    def test_a_storm_of_refusals_passes_and_all_ends_are_seen(self):
        simulator, gateway = self.start(THROTTLED)
        client = self.client(gateway)
        followers = [Follower(client, simulator.backup(f"starter-{n}")) for n in range(20)]
        outcomes, over = [], threading.Event()

        def hammer():
            while not over.is_set():
                outcomes.append(client.outcome("j"))

        hammers = [threading.Thread(target=hammer) for _ in range(4)]
        for it in hammers:
            it.start()
        try:
            until(lambda: len(outcomes) > 50, "calls are made, at whatever pace")
        finally:
            over.set()
            for it in hammers:
                it.join()
        # A watch that comes when nothing is left is refused, as a call would be.
        ends = {}
        for follower in followers:
            until(follower.ended, "the watch has ended")
            while follower.failed is not None:
                follower = Follower(client, follower.job)
                until(follower.ended, "the watch has ended")
            ends[follower.last] = ends.get(follower.last, 0) + 1
        self.assertEqual(ends, {"JOB_STATUS_SUCCESS": 20})
        until(lambda: client.outcome("j") == "OK", "calls are answered again")
        metrics = gateway.metrics()
        sent, refused = (int(metrics[name]) for name in (
            "http_client_request_duration_seconds_count", "jobgate_upstream_throttled_total",
        ))
        print(f"storm: {len(outcomes)} calls, {sent} requests, {refused} refused by the upstream")
        self.assertGreater(refused, 0, "there was no storm: the test shows nothing")
        self.assertLess(refused, sent / 2)
        self.rests(gateway, connections=1)

    def test_spells_of_faults_end_no_watch_and_pass(self):
        simulator, gateway = self.start(SPELLS)
        client = self.client(gateway)
        followers = [Follower(client, simulator.backup()) for _ in range(10)]
        outcomes = {}
        while not all(follower.ended() for follower in followers):
            outcome = client.outcome(followers[0].job)
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
        for follower in followers:
            # None but those that met a fault with their first state, which is the call's own.
            while follower.failed is not None:
                self.assertIsNone(follower.last, follower.failed)
                follower = Follower(client, follower.job)
                until(follower.ended, "the watch has ended")
            self.assertEqual(follower.last, "JOB_STATUS_SUCCESS")
        until(lambda: client.outcome(followers[0].job) == "OK", "calls are answered again")
        print(f"spells: calls {outcomes}")
        self.rests(gateway, connections=1)


if __name__ == "__main__":
    unittest.main()
