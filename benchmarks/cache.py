"""`make bench BENCH=cache`: cached answers beside uncached ones and beside what a bare application could do."""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import redis

from benchmarks import machine, wrk
from benchmarks.cache_mix import requests_mixed
from benchmarks.cache_replay import Replay, orders_arriving, replay
from benchmarks.figures import Figure, figure_lines, of_load
from benchmarks.main import run
from benchmarks.market import TOP_SYMBOL
from benchmarks.run import stage
from benchmarks.service import NOTHING, WITHOUT_CACHE, WORKERS, Place, place_made
from benchmarks.wrk import Load, load_path, load_paths
from tools.programs import rest_command

GZIP = {"Accept-Encoding": "gzip"}
# Of the mix, a second: what the service without a cache still bears.
RATE = 250
DAYS = 5  # of hours in the body that the goal is about: 26 kB
HISTORY_RATE = 100_000
MIXED = 20_000  # different draws for wrk to go through
# The service without a cache is at its limit with the first of these that gets nearly as much as any of them.
UNCACHED_CLIENTS = (2, 4, 8, 16, 32)
NEARLY = 0.95
# Counts every request and refuses none.
COUNTED = {"RATE_LIMIT_PER_MINUTE": "1000000"}


@dataclass(frozen=True, slots=True)
class Effort:
    """How long things are measured."""

    rows: int
    seconds: float  # of wrk, for each figure
    mix_seconds: float  # of the mix
    history_seconds: float  # of the mix before that: what other clients have asked for, all of it still fresh
    search_seconds: float  # of wrk, for each number of connections that is tried


THOROUGH = Effort(rows=1_000_000, seconds=6, mix_seconds=45, history_seconds=290, search_seconds=4)
QUICK = Effort(rows=100_000, seconds=2, mix_seconds=8, history_seconds=20, search_seconds=2)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cache", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short try; its numbers mean little")
    parser.add_argument("--markdown", action="store_true", help="print it ready for docs/performance.md")
    options = parser.parse_args(arguments)
    effort = QUICK if options.quick else THOROUGH
    began, busy = time.monotonic(), machine.load()
    wrk.install()
    with place_made(effort.rows) as place:
        figures = list(measured(place, effort))
        about = machine.description(place.database_version)
    print(f"{effort.rows:,} orders, {WORKERS} REST workers of `make serve`, {wrk.CONNECTIONS} connections. {about}.")
    print(
        f"The run took {(time.monotonic() - began) / 60:.0f} minutes; before it began, {busy:.1f} other programs wanted"
    )
    print("to run.\n")
    print("\n".join(figure_lines(figures, is_markdown=options.markdown)))
    return 0


def measured(place: Place, effort: Effort) -> Iterator[Figure]:
    with stage("hot answers, cached, uncached and bare"):
        yield from hot(place, effort)
        yield from bare(place, effort)
    with stage("the mix"):
        yield from mixed(place, effort)
    with stage("how many clients at once"):
        yield from concurrency(place, effort)
    yield from sizes(place)


def hot(place: Place, effort: Effort) -> Iterator[Figure]:
    paths = {
        f"hours of {DAYS} days": place.hours_of(DAYS),
        "hours of 7 days": place.hours_of(7),
        "the newest 50 orders": f"/api/liquidation-orders?symbol={TOP_SYMBOL}&limit=50",
        "the newest 100 orders": f"/api/liquidation-orders?symbol={TOP_SYMBOL}&limit=100",
        "the list of symbols": "/api/symbols",
    }
    with place.serving() as root:
        for name, path in paths.items():
            size = kilobytes(root, path)
            goal = 10_000 if path == place.hours_of(DAYS) else None
            yield of_load(f"{name}, {size}, cached", warmed(root, path, effort.seconds), goal)
            yield of_load(f"{name}, cached, gzipped", warmed(root, path, effort.seconds, GZIP))
    with place.serving(COUNTED) as root:
        yield of_load(
            f"hours of {DAYS} days, cached, with a rate limit", warmed(root, place.hours_of(DAYS), effort.seconds)
        )
    with place.serving(WITHOUT_CACHE) as root:
        for name, path in paths.items():
            yield of_load(f"{name}, without cache", warmed(root, path, effort.seconds))
        week = warmed(root, place.hours_of(7), effort.seconds, GZIP)
        yield of_load("hours of 7 days, without cache, gzipped", week)


def warmed(root: str, path: str, seconds: float, headers: dict[str, str] | None = None) -> Load:
    load_path(root, path, 1, headers=headers)
    return load_path(root, path, seconds, headers=headers)


def bare(place: Place, effort: Effort) -> Iterator[Figure]:
    """What any WSGI application could do here at best."""
    body = place.database.folder / "body"
    with place.serving() as root, urlopen(f"{root}{place.hours_of(DAYS)}") as answer:
        body.write_bytes(answer.read())
    for name, function in (("one Redis GET of those bytes", "from_redis"), ("those bytes from memory", "from_memory")):
        command = rest_command(WORKERS, application=f"benchmarks.cache_bare:{function}")
        with place.serving({"BARE_BODY": str(body)}, command) as root:
            yield of_load(f"a bare WSGI application: {name}", warmed(root, "/", effort.seconds))


def mixed(place: Place, effort: Effort) -> Iterator[Figure]:
    """The same requests with and without the cache, at the same rate, while orders arrive."""
    with orders_arriving(place):
        cached = mix_replayed(place, effort)
        uncached = mix_replayed(place, effort, WITHOUT_CACHE)
    mix = f"mix of {RATE} requests/s with writes"
    yield Figure(f"{mix}: hit rate", 100 * cached.hits / cached.requests, "%", cached.p50_ms, cached.p99_ms, goal=80)
    yield Figure(f"{mix}: hit rate, without cache", 0, "%", uncached.p50_ms, uncached.p99_ms)
    for name, ours, theirs in (
        ("statements", cached.work.statements, uncached.work.statements),
        ("rows read", cached.work.rows_read, uncached.work.rows_read),
        ("processor time", cached.work.cpu_s, uncached.work.cpu_s),
    ):
        yield Figure(f"{mix}: the database's {name} saved", 100 * (1 - ours / theirs), "%", goal=60)


def mix_replayed(place: Place, effort: Effort, variables: Mapping[str, str] = NOTHING) -> Replay:
    history, now = int(RATE * effort.history_seconds), int(time.time() * 1000)
    paths = requests_mixed(history + int(RATE * effort.mix_seconds), now)
    with place.serving(variables) as root:
        if variables != WITHOUT_CACHE:
            # As fast as it goes, since nobody measures it.
            replay(place, root, paths[:history], HISTORY_RATE)
        return replay(place, root, paths[history:], RATE)


def concurrency(place: Place, effort: Effort) -> Iterator[Figure]:
    """How many connections the cached service bears at the p99 that the other one has at its limit."""
    mix = place.database.folder / "mix"
    mix.write_text("\n".join(requests_mixed(MIXED, int(time.time() * 1000))))
    hot_path = place.database.folder / "hot"
    hot_path.write_text(place.hours_of(DAYS))
    for name, paths in ((f"hours of {DAYS} days", hot_path), ("the mix", mix)):
        with place.serving(WITHOUT_CACHE) as root:
            limit, there = limit_found(root, paths, effort.search_seconds)
        with place.serving() as root:
            load_paths(root, paths, 2 * effort.search_seconds)
            most, load = most_found(root, paths, there.p99_ms, effort.search_seconds)
        yield Figure(f"{name}: clients at once without cache, at its limit", limit, "", there.p50_ms, there.p99_ms)
        yield Figure(f"{name}: clients at once with cache, at that p99", most, "", load.p50_ms, load.p99_ms, 5 * limit)


def limit_found(root: str, paths: Path, seconds: float) -> tuple[int, Load]:
    """The fewest connections with which the service answers about as much as it can."""
    loads = {connections: load_paths(root, paths, seconds, connections) for connections in UNCACHED_CLIENTS}
    enough = NEARLY * max(load.rate for load in loads.values())
    return next((connections, load) for connections, load in loads.items() if load.rate >= enough)


def most_found(root: str, paths: Path, p99_ms: float, seconds: float) -> tuple[int, Load]:
    """The most connections of those tried with which the p99 stays below ``p99_ms``; two that fail end the search."""
    found, failed, connections = (0, Load(0, 0, 0)), 0, UNCACHED_CLIENTS[0]
    while failed < 2:
        load = load_paths(root, paths, seconds, connections)
        if load.p99_ms <= p99_ms:
            found, failed = (connections, load), 0
        else:
            failed += 1
        connections = connections * 3 // 2
    return found


def sizes(place: Place) -> Iterator[Figure]:
    """Redis' memory for what the mix has left there."""
    # Any: redis-py describes its synchronous and its asynchronous client in one.
    client: Any = redis.Redis.from_url(place.redis.url())
    with client:
        keys = [key for key in client.scan_iter(count=1000) if b":e:" in key]
        week = [key for key in keys if client.strlen(key) > 5000]
        taken = [client.memory_usage(key) for key in keys]
        largest = [client.memory_usage(key) for key in week]
    yield Figure("answers in Redis after all this", len(keys), "")
    yield Figure("Redis' memory for one of them, on average", sum(taken) / max(len(taken), 1), "bytes")
    yield Figure("Redis' memory for those above 5 kB, on average", sum(largest) / max(len(largest), 1), "bytes")


def kilobytes(root: str, path: str) -> str:
    with urlopen(f"{root}{path}") as answer:
        return f"{len(answer.read()) / 1000:.0f} kB"


if __name__ == "__main__":
    sys.exit(run(main, sys.argv[1:]))
