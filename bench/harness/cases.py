"""What is measured of single calls, and under which heading."""

from . import table
from .measure import Case, rounds

GATEWAYS = ("jobgate", "envoy", "go")
# 64 calls under way in each: alone on a connection, or together.
CONNECTIONS = ((1, 64), (8, 8), (64, 1))


def main(chosen, options, results):
    case = Case("the example of the API's page", seconds=options.seconds)
    taken = keep(results, case, chosen, options)
    print(f"## One job: {case.name}\n\n{table.saturation(taken, chosen)}")
    print("CPU per call, each system (row) by each other (column):\n")
    print(table.ratios(taken, chosen, "cpu_us_per_call"))
    print("Calls per second, the same:\n")
    print(table.ratios(taken, chosen, "calls_per_second"))


def latency(chosen, options, results):
    case = Case(f"{options.rate:,} calls per second", rate=options.rate, seconds=options.seconds)
    taken = keep(results, case, chosen, options)
    print(f"## The same at {case.name}, whatever the answers take\n")
    print(table.latency(taken, chosen))


def payloads(chosen, options, results):
    for case in (Case("50 sub jobs", sub_jobs=50, seconds=options.seconds),
                 Case("1,000 sub jobs, 16 calls at a time", sub_jobs=1000, streams=2,
                      seconds=options.seconds),
                 Case("a job that is not there (404)", missing=True, seconds=options.seconds)):
        taken = keep(results, case, chosen, options)
        print(f"## {case.name}\n\n{table.saturation(taken, chosen)}")


def connections(chosen, options, results):
    for tls in (False, True):
        for number, streams in CONNECTIONS:
            if (number, tls) == (8, False):
                continue
            plural = "s" if number > 1 else ""
            name = f"{number} connection{plural} with {streams} at a time{', TLS' if tls else ''}"
            case = Case(name, connections=number, streams=streams, tls=tls, seconds=options.seconds)
            gateways = {name: chosen[name] for name in GATEWAYS if name in chosen}
            taken = keep(results, case, gateways, options)
            print(f"## {case.name}\n\n{table.saturation(taken, chosen)}")


def both_cores(chosen, options, results):
    case = Case("two cores, shared with the generator", cores=2, seconds=options.seconds)
    taken = keep(results, case, chosen, options)
    print(f"## {case.name}\n\n{table.saturation(taken, chosen)}")


def sharing(chosen, options, results):
    case = Case("all ask for one and the same job", same=True, seconds=options.seconds)
    gateways = {name: chosen[name] for name in GATEWAYS if name in chosen}
    taken = keep(results, case, gateways, options)
    print(f"## {case.name}\n\n{table.saturation(taken, chosen)}")


def keep(results, case, systems, options):
    taken = rounds(systems, case, options.rounds, results["failures"])
    results["cases"].append({"case": vars(case), "systems": taken})
    return taken
