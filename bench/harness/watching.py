"""Watchers: what they cost, and how soon they know."""

from . import table
from .measure import load, say, started
from .systems import Failed, Jobgate, free_port

# Watchers and jobs.
SCALES = ((10_000, 1), (10_000, 1_000), (10_000, 10_000))
SMALLER = ((100, 1), (1_000, 1), (10_000, 100))


class Watched(Jobgate):
    """With another upstream, which the watchers' process is, and a fixed time between polls."""

    def __init__(self, binary, upstream, *more):
        super().__init__(binary, "--poll-min", "1s", "--poll-max", "1s", *more)
        self.upstream = upstream

    def start(self, port, _upstream, workers, tls, folder):
        return super().start(port, self.upstream, workers, tls, folder)


def once(binary, watchers, jobs, **more):
    upstream = free_port()
    with started(Watched(binary, upstream)) as it:
        return watch(it, upstream, watchers, jobs, **more)


def watch(it, upstream, watchers, jobs, **more):
    command = ["watch", "--target", f"127.0.0.1:{it.port}", "--pid", it.pid,
               "--upstream", f"127.0.0.1:{upstream}", "--watchers", watchers, "--jobs", jobs]
    for name, value in more.items():
        command += [f"--{name}", value]
    return load(it.cores, f"{watchers} watchers of {jobs}", command)


def measure(binary, scales, results):
    for watchers, jobs in scales:
        say(f"{watchers:,} watchers of {jobs:,} jobs")
        try:
            results["watchers"].append(once(binary, watchers, jobs))
        except Failed as failed:
            say(failed)
            results["failures"].append(str(failed))


def markdown(found):
    head = ["watchers", "jobs", "memory of each, KiB", "CPU while idle, of a core",
            "upstream calls per second", "CPU per event, µs",
            "known after the upstream's answer: p50, ms", "p99", "to a job's last watcher, p99", "max"]
    rows = []
    for it in found:
        after, last = it["ms_from_answer"], it["ms_from_answer_to_last"]
        rows.append([f"{it['watchers']:,}", f"{it['jobs']:,}", table.number(it["kib_per_watcher"]),
                     f"{it['idle_cores'] * 100:.1f} %",
                     table.number(it["upstream_calls_per_interval"]),
                     table.number(it["cpu_us_per_event"]), table.number(after["p50"]),
                     table.number(after["p99"]), table.number(last["p99"]), table.number(last["max"])])
    return table.markdown(head, rows)
