"""Requests of many threads at once, counted in a Redis; in a module of its own, for other processes to import."""

import threading
from concurrent.futures import ThreadPoolExecutor

from accounts.limits.bucket import Rate
from accounts.limits.redis import RedisBuckets
from tests.cachemgmt.troubles import cache_client


def passed(url: str, threads: int, rate: Rate) -> int:
    """How many of this process's threads may pass, each of which asks twice at the same moment as the others."""
    buckets = RedisBuckets(cache_client(url, timeout_s=30), "spending")
    start = threading.Barrier(threads)

    def ask() -> int:
        start.wait()
        verdicts = [buckets.spend("key:1", rate) for _ in range(2)]
        assert None not in verdicts
        return sum(verdict is not None and verdict.is_allowed for verdict in verdicts)

    with ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(lambda _: ask(), range(threads)))
