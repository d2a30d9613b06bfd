"""What the cache does, counted by every process; Prometheus shows the sum of all."""

from prometheus_client import Counter

from cachemgmt.types import Served

REQUESTS = Counter("liqui_cache_requests", "Cacheable requests, by where the answer came from", ["namespace", "result"])
SAVED_SECONDS = Counter(
    "liqui_cache_saved_seconds", "Time that making the served answers anew would take", ["namespace"]
)
SAVED_BYTES = Counter("liqui_cache_saved_bytes", "Bytes of bodies that were not made anew", ["namespace"])


def count(namespace: str, served: Served) -> None:
    result = "coalesced" if served.is_coalesced else served.state
    REQUESTS.labels(namespace, result).inc()
    if served.state not in ("miss", "bypass"):
        SAVED_SECONDS.labels(namespace).inc(served.entry.cost_ms / 1000)
        SAVED_BYTES.labels(namespace).inc(served.entry.size)
