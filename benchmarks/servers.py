"""`make bench BENCH=servers`: web servers for the REST side, side by side; the defaults of `make serve` follow it."""

import argparse
import sys
from collections.abc import Sequence
from statistics import median_low

from benchmarks import machine, wrk
from benchmarks.main import run
from benchmarks.report import aligned, markdown, quantity
from benchmarks.run import stage
from benchmarks.service import NOTHING, WITHOUT_CACHE, WORKERS, Place, place_made
from benchmarks.wrk import Load
from tools.programs import rest_command

HEAD = ("server, two workers", "hits", "p50", "p99", "without cache", "p50", "p99")
DAYS = 5
ASGI = "liqui.asgi:application"
CANDIDATES: dict[str, tuple[str, ...]] = {
    **{f"granian, WSGI, threads: {threads}": rest_command(WORKERS, threads) for threads in (1, 2, 4)},
    "granian, ASGI": ("granian", "--interface", "asgi", "--workers", str(WORKERS), "--no-ws", ASGI),
    "uvicorn, ASGI": ("uvicorn", "--workers", str(WORKERS), "--no-access-log", "--log-level", "warning", ASGI),
}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.servers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short try; its numbers mean little")
    parser.add_argument("--markdown", action="store_true", help="print it ready for docs/performance.md")
    options = parser.parse_args(arguments)
    rows, rounds, seconds = (50_000, 1, 2) if options.quick else (1_000_000, 3, 6)
    wrk.install()
    with place_made(rows) as place:
        lines = [HEAD, *measured(place, rounds, seconds)]
        print(f"{rows:,} orders; {wrk.CONNECTIONS} connections ask for hours of {DAYS} days (26 kB).")
        print(f"{machine.description(place.database_version)}. The median of {rounds} rounds.\n")
    print("\n".join(markdown(lines) if options.markdown else aligned(lines)))
    return 0


def measured(place: Place, rounds: int, seconds: float) -> list[tuple[str, ...]]:
    """A line for each candidate. They take turns, so that a slow minute of the machine hits all of them."""
    loads: dict[tuple[str, bool], list[Load]] = {}
    for number in range(rounds):
        for name, command in CANDIDATES.items():
            with stage(f"round {number + 1}: {name}"):
                for is_cached in (True, False):
                    with place.serving(NOTHING if is_cached else WITHOUT_CACHE, command) as root:
                        wrk.load_path(root, place.hours_of(DAYS), 1)
                        loads.setdefault((name, is_cached), []).append(
                            wrk.load_path(root, place.hours_of(DAYS), seconds)
                        )
    return [(name, *cells(loads[name, True]), *cells(loads[name, False])) for name in CANDIDATES]


def cells(loads: Sequence[Load]) -> tuple[str, ...]:
    rate = median_low(load.rate for load in loads)
    typical = next(load for load in loads if load.rate == rate)
    return f"{quantity(rate, 'requests/s')}", quantity(typical.p50_ms, "ms"), quantity(typical.p99_ms, "ms")


if __name__ == "__main__":
    sys.exit(run(main, sys.argv[1:]))
