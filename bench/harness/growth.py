"""What grows how, as connections, sub jobs, jobs and watchers become ten and a hundred times as many."""

import dataclasses

from . import plot, watching
from .cases import GATEWAYS
from .measure import Case, generate, once, say, started
from .systems import Failed

POINTS = (10, 100, 1000)
# Low, so that no system is short of anything while its connections grow.
RATE = 1000
# Calls so far, at about the speed of one core: a second, ten, a hundred.
LASTING = (1, 9, 90)


@dataclasses.dataclass
class Series:
    """Figures of one kind, of several systems; in `lines` are pairs of x and y."""

    name: str
    title: str
    x: str
    y: str
    unit: str
    lines: dict

    def sentences(self):
        for name, points in self.lines.items():
            (x0, y0), (x1, y1) = points[0], points[-1]
            yield (f"{name}: {y0:,.1f} {self.unit} with {x0:,} {self.x}, {y1:,.1f} with {x1:,}: "
                   f"{y1 / y0 if y0 else 0:,.2f} times as much for {x1 / x0:,.0f} times as many.")


def calls(chosen, options, failures):
    """Of single calls: connections that are open, and sub jobs of each job."""
    systems = {name: chosen[name] for name in GATEWAYS if name in chosen}
    cpu = Series("connections-cpu", f"CPU per call, {RATE:,} calls per second over all connections",
                 "connections", "CPU per call, µs", "µs", {})
    memory = Series("connections-memory", "Memory with so many connections",
                    "connections", "RSS, MiB", "MiB", {})
    large = Series("sub-jobs-cpu", "CPU per call, by the number of sub jobs", "sub jobs",
                   "CPU per call, µs", "µs", {})
    for name, system in systems.items():
        for number in POINTS:
            case = Case(f"{number} connections", connections=number, streams=1, rate=RATE,
                        seconds=options.seconds)
            if it := attempt(system, case, failures):
                point(cpu, name, number, it["cpu_us_per_call"])
                point(memory, name, number, it["rss_kib"] / 1024)
            case = Case(f"{number} sub jobs", sub_jobs=number, connections=8, streams=2,
                        seconds=options.seconds)
            if it := attempt(system, case, failures):
                point(large, name, number, it["cpu_us_per_call"])
    return [cpu, memory, large]


def lasting(chosen, failures):
    """One jobgate, asked for more and more jobs, each another one."""
    cpu = Series("asked-cpu", "CPU per call, after so many calls for different jobs", "jobs",
                 "CPU per call, µs", "µs", {})
    memory = Series("asked-memory", "Memory after so many calls for different jobs", "jobs",
                    "RSS, MiB", "MiB", {})
    try:
        with started(chosen["jobgate"]) as it:
            asked = 0
            for seconds in LASTING:
                say(f"jobgate for {seconds} s")
                figures = generate(it, Case("many jobs", seconds=seconds, warm_up=0.1))
                asked += figures["calls"]
                point(cpu, "jobgate", asked, figures["cpu_us_per_call"])
                point(memory, "jobgate", asked, figures["rss_kib"] / 1024)
    except Failed as failed:
        failures.append(str(failed))
    return [cpu, memory]


def watchers(found):
    """From what `watching` has measured."""
    of_one = [it for it in found if it["jobs"] == 1]
    all_watch = [it for it in found if it["watchers"] == 10_000 and it["jobs"] > 1]
    kinds = (
        ("idle-cpu", "CPU while nothing changes", "% of a core", "%", lambda it: it["idle_cores"] * 100),
        ("memory", "Memory of each watcher", "KiB", "KiB", lambda it: it["kib_per_watcher"]),
        ("event-cpu", "CPU for each event sent, polls included", "µs", "µs",
         lambda it: it["cpu_us_per_event"]),
    )
    groups = ((of_one, "watchers", "watchers of one job"),
              (all_watch, "jobs", "10,000 watchers of so many jobs"))
    for kind, title, y, unit, value in kinds:
        for group, x, who in groups:
            line = sorted((it[x], value(it)) for it in group)
            if len(line) > 1:
                yield Series(f"watched-{x}-{kind}", f"{title}: {who}", x, y, unit, {"jobgate": line})


def attempt(system, case, failures):
    say(f"growth: {case.name}, {system.title}")
    try:
        return once(system, case)
    except Failed as failed:
        say(failed)
        failures.append(str(failed))
        return None


def point(series, name, x, y):
    series.lines.setdefault(name, []).append((x, y))


def publish(series, folder):
    """Draws each, and returns Markdown of them."""
    text = []
    for it in series:
        if it.lines:
            (folder / f"{it.name}.svg").write_text(plot.svg(it))
            text.append(f"### {it.title}\n\n![{it.title}]({it.name}.svg)\n")
            text += [f"* {sentence}" for sentence in it.sentences()] + [""]
    return "\n".join(text)
