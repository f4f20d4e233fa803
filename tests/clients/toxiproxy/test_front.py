"""Faults between clients and the gateway. What a client loses it takes up again."""

import unittest

from rig import CALLS, Faults

# The client library's own words; none of them is the gateway's.
LOST = {"OK", "UNAVAILABLE", "DEADLINE_EXCEEDED"}


def fault(allowed, kind, **attributes):
    def strike(rig, client, _):
        with rig.front.toxic(kind, **attributes):
            outcomes = rig.calls(client, timeout=3)
        assert set(outcomes) <= allowed, outcomes
        return outcomes

    return strike


def flapping(rig, client, _):
    outcomes = {}
    for _ in range(8):
        rig.front.down()
        for outcome, count in rig.calls(client, timeout=3).items():
            outcomes[outcome] = outcomes.get(outcome, 0) + count
        rig.front.up()
    assert set(outcomes) <= LOST, outcomes
    assert outcomes["UNAVAILABLE"] > CALLS, outcomes
    return outcomes


class Front(Faults):
    def test_what_is_only_slow_costs_no_call(self):
        self.all_survive({
            "latency": fault({"OK"}, "latency", latency=100, jitter=50),
            "latency for requests": fault({"OK"}, "latency", stream="upstream", latency=100),
            "slicer": fault({"OK"}, "slicer", average_size=20, size_variation=10, delay=100),
            "slow close": fault({"OK"}, "slow_close", delay=500),
        })

    def test_what_is_lost_is_taken_up_again(self):
        self.all_survive({
            "drip": fault(LOST, "bandwidth", rate=1),
            "drip for requests": fault(LOST, "bandwidth", stream="upstream", rate=1),
            "black hole": fault(LOST, "timeout", timeout=0),
            "black hole for requests": fault(LOST, "timeout", stream="upstream", timeout=0),
            "black hole with an end": fault(LOST, "timeout", timeout=300),
            "reset": fault(LOST, "reset_peer", timeout=0),
            "cut in an answer": fault(LOST, "limit_data", bytes=700),
            "cut in a request": fault(LOST, "limit_data", stream="upstream", bytes=300),
            "flapping": flapping,
        })


if __name__ == "__main__":
    unittest.main()
