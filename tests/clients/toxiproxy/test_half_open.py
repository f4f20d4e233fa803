"""Peers that are there for the kernel, and for nobody else: processes that are stopped."""

import os
import signal
import subprocess
import unittest

from clients import Client, Follower
from processes import BIN, TOKEN, Gateway, Simulator, Toxiproxy, until
from rig import SCRIPT


class HalfOpen(unittest.TestCase):
    def setUp(self):
        self.simulator = Simulator(SCRIPT)
        self.addCleanup(self.simulator.stop)

    def gateway(self, *more):
        gateway = Gateway(self.simulator.address, *more)
        self.addCleanup(lambda: self.assertEqual(gateway.stop(), 0))
        return gateway

    def test_an_upstream_that_stops_costs_attempts_and_no_watch(self):
        gateway = self.gateway()
        client = Client(gateway.address)
        self.addCleanup(client.close)
        follower = Follower(client, self.simulator.backup())
        until(lambda: follower.last, "the watch has begun")
        self.simulator.signal(signal.SIGSTOP)
        outcome = client.outcome("j0")
        until(lambda: follower.troubles or follower.ended(), "the watch tells of it")
        self.simulator.signal(signal.SIGCONT)
        self.assertIn(outcome, {"UPSTREAM_TIMEOUT", "UPSTREAM_UNAVAILABLE"})
        until(lambda: client.outcome("j0") == "OK", "calls are answered again")
        until(follower.ended, "the watch has ended")
        self.assertEqual((follower.last, follower.resumed), ("JOB_STATUS_SUCCESS", []))

    def test_clients_that_stop_are_given_up(self):
        """Some are stopped themselves, of others the network takes all that they say."""
        gateway = self.gateway()
        toxiproxy = Toxiproxy()
        self.addCleanup(toxiproxy.stop)
        hole = toxiproxy.proxy("hole", gateway.address)
        until(lambda: gateway.metrics()["jobgate_connections"] == 0, "nobody is connected")
        clients = [
            subprocess.Popen(
                [BIN, "watch", "j1", "--project", "p", "--gateway", f"http://{address}"],
                env={**os.environ, "JOBGATE_TOKEN": TOKEN},
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            ) for address in [gateway.address] * 5 + [hole.address] * 5
        ]
        for client in clients:
            self.addCleanup(client.wait)
            self.addCleanup(client.kill)
        until(lambda: gateway.metrics()["jobgate_watchers"] == 10, "all watch")
        for client in clients[:5]:
            client.send_signal(signal.SIGSTOP)
        with hole.toxic("timeout", stream="upstream", timeout=0):
            # Asked after half a minute, given up after twenty seconds more.
            until(
                lambda: (m := gateway.metrics())["jobgate_connections"] == 0
                and m["jobgate_watchers"] == m["jobgate_pollers"] == 0,
                "the gateway gives them up",
            )
        client = Client(gateway.address)
        self.addCleanup(client.close)
        self.assertEqual(client.outcome("j0"), "OK")


if __name__ == "__main__":
    unittest.main()
