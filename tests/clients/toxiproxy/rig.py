"""A gateway with toxiproxy on both sides, and what holds for it after any fault."""

import concurrent.futures
import unittest

from clients import Client, Follower
from processes import Gateway, Simulator, Toxiproxy, until

# Calls at a time, each for a job of its own: the same job would be fetched once.
CALLS = 20

# What the allocator may keep of a fault, of about 25 MiB; one was seen to keep 0.8.
MARGIN_MIB = 4

SCRIPT = """
[start.create]
entities = { text = "%s" }
phase = [
  { status = "INIT" },
  { after = "500ms", status = "RUNNING" },
  { after = "5s", status = "SUCCESS" },
]
""" % ("x" * 500) + "".join(
    f"""
[[job]]
project = "p"
id = "j{number}"
[job.life]
entities = {{ text = "{"x" * 500}" }}
phase = [{{ status = "RUNNING" }}]
""" for number in range(CALLS)
)


class Rig:
    """One gateway between two proxies of its own."""

    def __init__(self, simulator, toxiproxy, name, *flags):
        self.simulator = simulator
        self.behind = toxiproxy.proxy(f"{name}-behind", simulator.address)
        self.gateway = Gateway(self.behind.address, *flags)
        self.front = toxiproxy.proxy(f"{name}-front", self.gateway.address)
        self.before = self.gateway.rest()

    def calls(self, client, timeout=20):
        """What comes of many calls at a time, counted."""
        with concurrent.futures.ThreadPoolExecutor(CALLS) as pool:
            outcomes = list(pool.map(lambda n: client.outcome(f"j{n}", timeout), range(CALLS)))
        return {it: outcomes.count(it) for it in sorted(set(outcomes))}

    def quiet(self):
        """Cuts connections that are kept for the next request."""
        self.behind.down()
        self.behind.up()

    def at_rest(self):
        """What it holds, once that is no more than at its start; in the end, that is looked for
        in its pool of connections four times a minute."""
        rest = self.gateway.rest()
        return rest if all(rest[name] <= self.before[name] for name in rest) else None

    def survives(self, fault):
        """A fault strikes between a watch and its end. Returns what there is to tell of it."""
        client = Client(self.front.address)
        usual = self.calls(client)
        assert usual == {"OK": CALLS}, usual
        client.close()
        rss = self.gateway.rss_mib()

        client = Client(self.front.address)
        follower = until(lambda: self.begun(client), "a watch has begun before its job has")
        outcomes = fault(self, client, follower)
        until(lambda: client.outcome("j0") == "OK", "calls are answered again")
        until(follower.ended, "the watch has ended")
        assert follower.failed is None, follower.failed
        assert follower.last == "JOB_STATUS_SUCCESS", follower.last
        client.close()

        self.quiet()
        after = until(self.at_rest, f"the gateway holds no more than {self.before}")
        grown = self.gateway.rss_mib() - rss
        assert grown < MARGIN_MIB, f"{grown} MiB more than {rss}"
        return (
            f"calls {outcomes}, {len(follower.troubles)} heartbeats of trouble, watch taken up "
            f"{len(follower.resumed)} times; {after['jobgate_tasks']} tasks, "
            f"{rss:.1f} {grown:+.1f} MiB"
        )

    def begun(self, client):
        """A watch of a new job, if it is early enough to see more of it than its end."""
        follower = Follower(client, self.simulator.backup())
        until(lambda: follower.last or follower.ended(), "the watch has begun")
        return follower if follower.last == "JOB_STATUS_INIT" else None

    def stop(self):
        return self.gateway.stop()


class Faults(unittest.TestCase):
    """Each fault has a gateway of its own, and all strike at the same time."""

    def setUp(self):
        self.simulator = Simulator(SCRIPT)
        self.addCleanup(self.simulator.stop)
        self.toxiproxy = Toxiproxy()
        self.addCleanup(self.toxiproxy.stop)

    def all_survive(self, faults, *flags):
        def one(name):
            rig = Rig(self.simulator, self.toxiproxy, name, *flags)
            try:
                return rig.survives(faults[name])
            finally:
                self.codes.append(rig.stop())

        self.codes = []
        with concurrent.futures.ThreadPoolExecutor(len(faults)) as pool:
            running = {name: pool.submit(one, name) for name in faults}
        for name, told in running.items():
            with self.subTest(name):
                print(f"{name}: {told.result()}", flush=True)
        self.assertEqual(set(self.codes), {0})
