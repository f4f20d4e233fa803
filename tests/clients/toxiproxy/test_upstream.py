"""Faults between the gateway and the upstream. A watch feels them, and lives."""

import unittest

from processes import until
from rig import Faults

# What calls may end with: the fault itself, or that the upstream is left alone for a while.
SLOW = {"UPSTREAM_TIMEOUT", "UPSTREAM_UNAVAILABLE"}
GONE = {"UPSTREAM_UNREACHABLE", "UPSTREAM_UNAVAILABLE"}


def harmless(kind, **attributes):
    def fault(rig, client, _):
        with rig.behind.toxic(kind, **attributes):
            outcomes = rig.calls(client)
        assert set(outcomes) == {"OK"}, outcomes
        return outcomes

    return fault


def harmful(allowed, kind, **attributes):
    def fault(rig, client, follower):
        with rig.behind.toxic(kind, **attributes):
            # Connections that are there already may be spared: so there are none.
            rig.quiet()
            outcomes = rig.calls(client)
            assert set(outcomes) <= allowed, outcomes
            until(lambda: follower.troubles, "the watch tells of the fault")
            assert follower.is_alive(), "the watch has ended before the fault has"
        assert not follower.resumed, follower.resumed
        return outcomes

    return fault


def flapping(rig, client, follower):
    told = []
    for _ in range(4):
        rig.behind.down()
        told.append(rig.calls(client))
        assert set(told[-1]) <= GONE, told
        rig.behind.up()
        until(lambda: client.outcome("j0") == "OK", "calls are answered between two faults")
    assert not follower.resumed, follower.resumed
    return told


class Upstream(Faults):
    def test_what_is_only_slow_costs_no_call(self):
        self.all_survive({
            "latency": harmless("latency", latency=200, jitter=100),
            "slicer": harmless("slicer", average_size=20, size_variation=10, delay=1000),
            "slow close": harmless("slow_close", delay=500),
        })

    def test_what_stalls_ends_with_the_attempt(self):
        self.all_survive({
            "latency beyond the attempt": harmful(SLOW, "latency", latency=3000),
            "drip": harmful(SLOW, "slicer", average_size=1, delay=20_000),
            "black hole": harmful(SLOW, "timeout", timeout=0),
            "black hole for requests": harmful(SLOW, "timeout", stream="upstream", timeout=0),
        })

    def test_what_is_cut_is_unreachable(self):
        self.all_survive({
            "black hole with an end": harmful(GONE, "timeout", timeout=100),
            "reset": harmful(GONE, "reset_peer", timeout=0),
            "reset in the answer": harmful(GONE, "reset_peer", timeout=20),
            "cut in the head": harmful(GONE, "limit_data", bytes=50),
            "cut in the body": harmful(GONE, "limit_data", bytes=500),
            "cut in the request": harmful(GONE, "limit_data", stream="upstream", bytes=50),
            "flapping": flapping,
        })


if __name__ == "__main__":
    unittest.main()
