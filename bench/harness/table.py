"""Medians, spreads and ratios, and Markdown of them."""

import statistics


def values(rounds, *path):
    found = []
    for it in rounds:
        for key in path:
            it = it[key]
        found.append(it)
    return found


def median(rounds, *path):
    return statistics.median(values(rounds, *path))


def spread(rounds, *path):
    """Half of the way from least to most, in percent of the median."""
    found = values(rounds, *path)
    middle = statistics.median(found)
    return (max(found) - min(found)) / 2 / middle * 100 if middle else 0.0


def number(value, digits=1):
    return f"{value:,.{digits}f}"


def markdown(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def saturation(taken, systems, base="envoy"):
    """What a call costs, and how many there are at most."""
    other = base.capitalize()
    head = ["", "CPU per call, µs", f"of {other}'s", "calls/s", f"times {other}'s", "RSS, MiB",
            "cores busy"]
    rows = []
    for name, rounds in taken.items():
        cpu, rate = median(rounds, "cpu_us_per_call"), median(rounds, "calls_per_second")
        busy = median(rounds, "server_cores")
        of = taken.get(base)
        rows.append([
            systems[name].title,
            f"{number(cpu)} ± {spread(rounds, 'cpu_us_per_call'):.0f} %",
            number(cpu / median(of, "cpu_us_per_call"), 2) if of else "",
            f"{number(rate, 0)} ± {spread(rounds, 'calls_per_second'):.0f} %",
            number(rate / median(of, "calls_per_second"), 2) if of else "",
            number(median(rounds, "rss_kib") / 1024),
            number(busy, 2),
        ])
    return markdown(head, rows)


def latency(taken, systems, base="rest"):
    """What the systems add to the bare call."""
    head = ["", "p50, µs", "p99", "p99.9", "added: p50", "p99", "p99.9", "CPU per call, µs"]
    parts = ("p50", "p99", "p999")
    rows = []
    for name, rounds in taken.items():
        at = [median(rounds, "latency_us", part) for part in parts]
        bare = [median(taken[base], "latency_us", part) for part in parts] if base in taken else None
        added = [number(one - other, 0) for one, other in zip(at, bare)] if bare else [""] * 3
        rows.append([systems[name].title, *(number(it, 0) for it in at),
                     *([""] * 3 if name == base else added),
                     f"{number(median(rounds, 'cpu_us_per_call'))} ± "
                     f"{spread(rounds, 'cpu_us_per_call'):.0f} %"])
    return markdown(head, rows)


def ratios(taken, systems, *path):
    """Of each pair: the row's figure by the column's, the median of the rounds' ratios."""
    rows = []
    for name, rounds in taken.items():
        mine = values(rounds, *path)
        row = [systems[name].title]
        for other in taken.values():
            row.append(number(statistics.median(
                one / two for one, two in zip(mine, values(other, *path))), 2))
        rows.append(row)
    return markdown(["", *(systems[name].title for name in taken)], rows)
