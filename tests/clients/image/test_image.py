"""What the Dockerfile makes: what is in the image, and whether it runs as it says."""

import errno
import json
import os
import re
import tempfile
import tomllib
import unittest
import urllib.request

from container import BASE, CONFIG, ROOT, TOP, Server, healthy, run

# The loopback is nobody's proxy's business.
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
REST = "127.0.0.1:8080"
# Not the address that is the default: what listens on all interfaces has this one as well.
OTHER = "127.0.0.2"


def files(root):
    found = set()
    for folder, _, names in os.walk(root):
        found.update(os.path.relpath(os.path.join(folder, name), root) for name in names)
    return found


class Contents(unittest.TestCase):
    def test_the_program_is_all_that_is_added(self):
        # What Linux puts into /proc is not the image's.
        added = {path for path in files(ROOT) - files(BASE) if not path.startswith("proc/")}
        self.assertEqual(added, {"usr/local/bin/jobgate"})
        program = (ROOT / "usr/local/bin/jobgate").stat()
        self.assertEqual((program.st_uid, program.st_mode & 0o7777), (0, 0o755))
        self.assertLess(program.st_size, 20 << 20)

    def test_it_says_what_to_run_and_as_whom(self):
        program = "/usr/local/bin/jobgate"
        self.assertEqual(CONFIG["User"], "65532")
        self.assertEqual(CONFIG["Entrypoint"], [program])
        self.assertEqual(CONFIG["Cmd"], ["serve"])
        self.assertEqual(set(CONFIG["ExposedPorts"]), {"50051/tcp", "9090/tcp"})
        self.assertEqual(CONFIG["Healthcheck"]["Test"], ["CMD", program, "health"])
        with (TOP / "Cargo.toml").open("rb") as manifest:
            package = tomllib.load(manifest)["package"]
        labels = "org.opencontainers.image"
        self.assertEqual(CONFIG["Labels"][f"{labels}.title"], package["name"])
        self.assertEqual(CONFIG["Labels"][f"{labels}.description"], package["description"])
        self.assertEqual(CONFIG["Labels"][f"{labels}.licenses"], package["license"])

    def test_the_compiler_is_the_one_of_the_toolchain_file(self):
        with (TOP / "rust-toolchain.toml").open("rb") as toolchain:
            channel = tomllib.load(toolchain)["toolchain"]["channel"]
        dockerfile = (TOP / "Dockerfile").read_text()
        self.assertEqual(re.findall(r"^FROM rust:(\S+)-", dockerfile, re.M), [channel])


class Runs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="image-")
        cls.addClassCleanup(folder.cleanup)
        simulator = Server(folder.name, "simulate", "simulate")
        cls.addClassCleanup(simulator.stop)
        simulator.said("REST API")
        cls.folder = folder.name

    def setUp(self):
        self.assertFalse(healthy(), "it is content although nothing serves")
        self.gateway = Server(self.folder, "serve", env={
            "JOBGATE_UPSTREAM": f"http://{REST}", "JOBGATE_DRAIN_DELAY": "off",
            "JOBGATE_POLL_MIN": "200ms", "JOBGATE_POLL_MAX": "200ms",
        })
        self.addCleanup(self.gateway.stop)
        self.gateway.said('"serving"')
        self.assertTrue(healthy())

    def client(self, *arguments):
        return run(
            *arguments, "--gateway", f"http://{OTHER}:50051", env={"JOBGATE_TOKEN": "image-token"}
        )

    def test_jobs_are_got_and_watched_from_the_other_side(self):
        code, said = self.client("get", "finished", "--project", "demo")
        self.assertEqual(code, 0, said)
        self.assertIn("bksCreateBackup", said)
        request = urllib.request.Request(
            f"http://{REST}/v2/p/cloudbackups/b", data=b"", headers={"x-auth-token": "image-token"}
        )
        with DIRECT.open(request, timeout=30) as answer:
            job = json.load(answer)["job_id"]
        code, said = self.client("watch", job, "--project", "p")
        self.assertEqual(code, 0, said)
        self.assertRegex(said, "(?s)(INIT|RUNNING).*SUCCESS")

    def test_the_admin_port_is_open_to_the_other_side(self):
        with DIRECT.open(f"http://{OTHER}:9090/metrics", timeout=30) as answer:
            self.assertIn(b"jobgate_build_info", answer.read())

    def test_it_needs_no_rights_and_no_file_to_write(self):
        with self.assertRaises(OSError) as caught:
            (ROOT / "tmp" / "file").touch()
        self.assertEqual(caught.exception.errno, errno.EROFS)
        status = self.gateway.status()
        self.assertEqual(status["Uid"], ["65532"] * 4)
        self.assertEqual(status["Gid"], ["65532"] * 4)
        self.assertEqual(int(*status["CapEff"], 16), 0)

    def test_it_takes_no_huge_pages(self):
        self.assertEqual(self.gateway.status()["THP_enabled"], ["0"])

    def test_a_signal_ends_it_well(self):
        self.assertEqual(self.gateway.stop(), 0, self.gateway.log.read_text())
        self.assertFalse(healthy())


if __name__ == "__main__":
    unittest.main()
