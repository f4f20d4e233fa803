"""The gateway's traces and metrics, as a real OpenTelemetry Collector understands them."""

import json
import tempfile
import unittest
import urllib.request

import grpc

from jobgate.v1 import jobs_pb2, jobs_pb2_grpc
from servers import Collector, Upstream, serve, until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OF_GET, OF_WATCH, OF_OTHER = "00f067aa0ba902b7", "00f067aa0ba902b8", "00f067aa0ba902b9"
GET, WATCH = (f"jobgate.v1.JobService/{method}" for method in ("GetJob", "WatchJob"))
REQUEST = "GET /v1/{project_id}/jobs/{job_id}"


def metadata(span):
    return (("x-auth-token", "token"), ("traceparent", f"00-{TRACE}-{span}-01"))


class Traces(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """One call, two watches of one job to its end, and the end of the gateway."""
        folder = tempfile.TemporaryDirectory(prefix="collector-")
        cls.addClassCleanup(folder.cleanup)
        cls.upstream = upstream = Upstream()
        cls.addClassCleanup(upstream.stop)
        collector = Collector(folder.name)
        cls.addClassCleanup(collector.stop)
        gateway, address, _ = serve(folder.name, upstream, collector)
        cls.addClassCleanup(gateway.stop)
        with grpc.insecure_channel(address) as channel:
            stub = jobs_pb2_grpc.JobServiceStub(channel)
            job = jobs_pb2.GetJobRequest(project_id="p", job_id="j")
            stub.GetJob(job, metadata=metadata(OF_GET), timeout=60)
            job = jobs_pb2.WatchJobRequest(project_id="p", job_id="j")
            watches = [stub.WatchJob(job, metadata=metadata(of)) for of in (OF_WATCH, OF_OTHER)]
            for watch in watches:
                next(watch)
            # A poll that began when both were there.
            asked = len(upstream.requests)
            until(lambda: len(upstream.requests) >= asked + 2, "it polls")
            upstream.status = "SUCCESS"
            for watch in watches:
                for _ in watch:
                    pass
        assert gateway.stop() == 0, gateway.text()
        cls.log = [json.loads(line) for line in gateway.text().splitlines()]
        # The last of them were sent before the gateway ended.
        count = 3 + len(upstream.requests)
        until(lambda: len(collector.spans()) >= count, f"{count} spans")
        cls.spans = collector.spans()

    def named(self, name):
        return [span for span in self.spans if span.name == name]

    def test_a_call_is_a_part_of_its_callers_trace(self):
        call, = self.named(GET)
        self.assertEqual((call.trace, call.parent), (TRACE, OF_GET))
        self.assertEqual((call.kind, call.status), ("Server", "Unset"))
        self.assertEqual(call.attributes["rpc.method"], GET)
        self.assertEqual(call.attributes["rpc.status_code"], "OK")
        self.assertEqual({watch.parent for watch in self.named(WATCH)}, {OF_WATCH, OF_OTHER})

    def test_a_request_is_a_part_of_the_call_and_says_so_upstream(self):
        call, = self.named(GET)
        request, = (span for span in self.named(REQUEST) if span.parent == call.id)
        self.assertEqual((request.trace, request.kind), (TRACE, "Client"))
        self.assertEqual(request.attributes["http.response.status_code"], "200")
        sent = self.upstream.requests[0]["traceparent"]
        self.assertEqual(sent, f"00-{TRACE}-{request.id}-01")

    def test_every_request_upstream_is_a_span(self):
        sent = {request["traceparent"].split("-")[2] for request in self.upstream.requests}
        self.assertEqual(sent, {span.id for span in self.named(REQUEST)})

    def test_a_poll_is_a_trace_of_its_own_and_names_its_watches(self):
        watches = {watch.id for watch in self.named(WATCH)}
        polls = self.named("poll")
        self.assertTrue(polls)
        for poll in polls:
            self.assertEqual(poll.parent, "")
            self.assertNotEqual(poll.trace, TRACE)
            self.assertTrue(set(poll.links) <= watches, poll)
            request, = (span for span in self.named(REQUEST) if span.parent == poll.id)
            self.assertEqual(request.trace, poll.trace)
        self.assertIn(watches, [set(poll.links) for poll in polls])

    def test_the_log_names_the_same_spans(self):
        logged = {
            (line["trace_id"], line["span_id"])
            for line in self.log if line["target"] == "jobgate::access"
        }
        calls = self.named(GET) + self.named(WATCH)
        self.assertEqual(logged, {(call.trace, call.id) for call in calls})

    def test_no_token_is_in_a_span(self):
        self.assertNotIn("token", repr(self.spans))


class Metrics(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """One call, a scrape, and the end of the gateway, which sends its metrics for the last time."""
        folder = tempfile.TemporaryDirectory(prefix="collector-")
        cls.addClassCleanup(folder.cleanup)
        upstream = Upstream()
        cls.addClassCleanup(upstream.stop)
        collector = Collector(folder.name)
        cls.addClassCleanup(collector.stop)
        more = ("--otlp-metrics-interval", "1h")
        gateway, address, admin = serve(folder.name, upstream, collector, *more)
        cls.addClassCleanup(gateway.stop)
        with grpc.insecure_channel(address) as channel:
            stub = jobs_pb2_grpc.JobServiceStub(channel)
            job = jobs_pb2.GetJobRequest(project_id="p", job_id="j")
            stub.GetJob(job, metadata=metadata(OF_GET), timeout=60)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

        def quiet():
            """A scrape once nobody is connected: what the end of a connection counts is in it."""
            with direct.open(f"http://{admin}/metrics") as scraped:
                text = scraped.read().decode()
            return text if "\njobgate_connections 0\n" in text else None

        cls.scraped = until(quiet, "no connections")
        assert gateway.stop() == 0, gateway.text()
        until(collector.metrics, "metrics")
        cls.metrics = {metric.in_prometheus(): metric for metric in collector.metrics()}

    def test_they_are_those_of_a_scrape(self):
        described = [line.split(" ") for line in self.scraped.splitlines() if line.startswith("# TYPE")]
        samples = {line.split("{")[0].split(" ")[0] for line in self.scraped.splitlines() if line[0] != "#"}
        there = {
            name for _, _, name, kind in described
            # Of some there is nothing yet.
            if (f"{name}_count" if kind == "histogram" else name) in samples
        }
        self.assertGreater(len(there), 20)
        self.assertEqual(set(self.metrics), there)
        kinds = {"histogram": ("Histogram", False), "counter": ("Sum", True), "gauge": ("Gauge", False)}
        for _, _, name, kind in described:
            if metric := self.metrics.get(name):
                self.assertEqual((metric.kind, metric.grows), kinds[kind], name)

    def test_names_are_those_of_the_conventions(self):
        requests = self.metrics["http_client_request_duration_seconds"]
        self.assertEqual(requests.name, "http.client.request.duration")
        (attributes, values), = (point for point in requests.points if point[1]["Count"] != "0")
        self.assertEqual(values["Count"], "1")
        self.assertEqual(attributes["http.response.status_code"], "Int(200)")
        self.assertEqual(attributes["http.request.method"], "Str(GET)")
        calls = self.metrics["rpc_server_call_duration_seconds"]
        (attributes, values), = (point for point in calls.points if point[1]["Count"] != "0")
        self.assertEqual(calls.name, "rpc.server.call.duration")
        self.assertEqual(attributes["rpc.method"], f"Str({GET})")
        self.assertEqual(attributes["rpc.status_code"], "Str(OK)")


if __name__ == "__main__":
    unittest.main()
