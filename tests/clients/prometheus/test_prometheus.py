"""What a real Prometheus finds at a gateway's admin port, and what promtool says of it."""

import subprocess
import tempfile
import unittest
import urllib.request

from servers import DIRECT, Prometheus, client, serve, simulate, until

OPEN = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"


class Scrapes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="prometheus-")
        cls.addClassCleanup(cls.folder.cleanup)
        simulator, rest = simulate(cls.folder.name)
        cls.addClassCleanup(simulator.stop)
        gateway, cls.grpc, cls.admin = serve(cls.folder.name, rest)
        cls.addClassCleanup(gateway.stop)
        cls.rest = rest
        cls.prometheus = Prometheus(cls.folder.name, cls.admin)
        cls.addClassCleanup(cls.prometheus.stop)

        for job in ("whole", "nosuch", "throttled", "mended"):
            client(cls.grpc, "get", job).wait(60)
        # Nothing is polled with the token that was throttled, for a while.
        watch = client(cls.grpc, "watch", "endless", token="another")
        cls.addClassCleanup(watch.wait, 60)
        cls.addClassCleanup(watch.terminate)

    def page(self, accept):
        request = urllib.request.Request(
            f"http://{self.admin}/metrics", headers={"accept": accept}
        )
        with DIRECT.open(request, timeout=30) as answer:
            return answer.headers["content-type"], answer.read()

    def finds(self, query, expected):
        until(lambda: self.prometheus.value(query) == expected, f"{query} is {expected}")

    def test_promtool_has_nothing_to_say(self):
        kind, text = self.page("*/*")
        self.assertTrue(kind.startswith("text/plain; version=0.0.4"), kind)
        done = subprocess.run(
            ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
        )
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))

    def test_the_target_is_up_and_types_and_units_are_known(self):
        kind, text = self.page(OPEN)
        self.assertTrue(kind.startswith("application/openmetrics-text"), kind)
        self.assertTrue(text.endswith(b"# EOF\n"))
        target, = until(
            lambda: [
                target for target in self.prometheus.ask("targets")["activeTargets"]
                if target["health"] == "up"
            ],
            "the target is up",
        )
        self.assertEqual(target["lastError"], "")
        metadata = self.prometheus.ask("metadata")
        for name, kind, unit in (
            ("jobgate_polls", "counter", ""),
            ("rpc_server_call_duration_seconds", "histogram", "seconds"),
            ("jobgate_watchers", "gauge", ""),
            ("process_resident_memory_bytes", "gauge", "bytes"),
        ):
            about, = metadata[name]
            self.assertEqual((about["type"], about["unit"]), (kind, unit))

    def test_calls_are_counted_by_method_and_status(self):
        series = 'rpc_server_call_duration_seconds_count{rpc_method="jobgate.v1.JobService/GetJob"'
        for labels, count in (
            ('rpc_status_code="OK"', 2),
            ('rpc_status_code="NOT_FOUND"', 1),
            ('rpc_status_code="RESOURCE_EXHAUSTED",error_type=""', 1),
        ):
            self.finds(f"{series},{labels}}}", count)
        quantile = "histogram_quantile(0.5, rpc_server_call_duration_seconds_bucket"
        value = self.prometheus.value(
            f'{quantile}{{rpc_method="jobgate.v1.JobService/GetJob",rpc_status_code="OK"}})'
        )
        self.assertTrue(0 < value < 10, value)

    def test_requests_are_counted_by_target_and_status(self):
        host, port = self.rest.rsplit(":", 1)
        series = (
            f'http_client_request_duration_seconds_count{{server_address="{host}",'
            f'server_port="{port}",http_request_method="GET"'
        )
        self.finds(f'{series},http_response_status_code="429",error_type="429"}}', 1)
        self.finds(f'{series},http_response_status_code="502"}}', 1)
        self.finds('jobgate_upstream_fetches_total{reason="throttled"}', 1)
        self.finds("jobgate_upstream_throttled_total", 1)

    def test_watches_and_the_process_are_there(self):
        self.finds("jobgate_watchers", 1)
        self.finds("jobgate_pollers", 1)
        polls = 'jobgate_polls_total{outcome="unchanged"}'
        until(lambda: (self.prometheus.value(f"rate({polls}[1m])") or 0) > 0, "polls are made")
        self.finds('count(jobgate_build_info{version!=""})', 1)
        until(
            lambda: (self.prometheus.value("time() - process_start_time_seconds") or -1) > 0,
            "it knows when it was started",
        )


if __name__ == "__main__":
    unittest.main()
