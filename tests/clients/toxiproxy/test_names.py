"""The upstream's name is given to another address."""

import glob
import os
import pathlib
import tempfile
import unittest

from clients import Client
from processes import Gateway, Simulator, free_port, until

SCRIPT = """
[[job]]
project = "p"
id = "j"
[job.life]
entities = { where = "%s" }
phase = [{ status = "RUNNING" }]
"""


class Names(unittest.TestCase):
    def test_calls_and_watches_follow_the_name(self):
        [wrapper] = glob.glob("/usr/lib/*/libnss_wrapper.so")
        port = free_port()
        old, new = (
            Simulator(SCRIPT % where, f"{address}:{port}")
            for where, address in (("old", "127.0.0.2"), ("new", "127.0.0.3"))
        )
        self.addCleanup(new.stop)
        with tempfile.TemporaryDirectory(prefix="toxic-") as folder:
            hosts = pathlib.Path(folder, "hosts")
            hosts.write_text("127.0.0.2 cloud.test\n")
            # What the C library reads in place of /etc/hosts, for this process alone.
            env = {"LD_PRELOAD": wrapper, "NSS_WRAPPER_HOSTS": str(hosts)}
            gateway = Gateway(f"cloud.test:{port}", env=env)
            self.addCleanup(lambda: self.assertEqual(gateway.stop(), 0))
            client = Client(gateway.address)
            self.addCleanup(client.close)
            watch = client.watch("j")
            self.addCleanup(watch.cancel)
            self.assertEqual(next(watch).job.entities["where"], "old")
            hosts.write_text("127.0.0.3 cloud.test\n")
            # It is read again when its time is another one, in whole seconds.
            os.utime(hosts, (0, 0))
            # Connections that are there stay in use as long as they are good.
            self.assertIn(client.get("j").entities["where"], {"old", "new"})
            self.assertEqual(old.stop(), 0)
            self.assertEqual(client.get("j").entities["where"], "new")
            # The same stream, with heartbeats before.
            self.assertEqual(
                next(it for it in watch if it.HasField("job")).job.entities["where"], "new"
            )


if __name__ == "__main__":
    unittest.main()
