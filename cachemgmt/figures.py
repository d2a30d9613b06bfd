"""What the cache does, counted by every process; Prometheus and operators see the sum of all."""

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean

from django.conf import settings
from prometheus_client import Counter, Gauge
from prometheus_client.multiprocess import MultiProcessCollector

from cachemgmt.registry import namespaces
from cachemgmt.stores import store
from cachemgmt.types import EntryInfo, Figures, Served

Totals = defaultdict[tuple[str, str, str], float]  # by name, namespace ("": none) and result

RESULTS = {"hit": "hits", "miss": "misses", "stale": "stale", "coalesced": "coalesced", "bypass": "bypassed"}
# A look at the kept answers ends after so many of them, or after so long.
MAX_LOOKED_AT = 20_000
MAX_SECONDS = 1.0

REQUESTS = Counter("liqui_cache_requests", "Cacheable requests, by where the answer came from", ["namespace", "result"])
SAVED_SECONDS = Counter(
    "liqui_cache_saved_seconds", "Time that making the served answers anew would take", ["namespace"]
)
SAVED_BYTES = Counter("liqui_cache_saved_bytes", "Bytes of bodies that were not made anew", ["namespace"])

# mostrecent: the answers are kept in one place for all processes, and whoever looked last knows best.
KEYS = Gauge("liqui_cache_keys", "Kept answers", ["namespace"], multiprocess_mode="mostrecent")
BYTES = Gauge("liqui_cache_bytes", "Bytes of the kept answers", ["namespace"], multiprocess_mode="mostrecent")
TTL_SECONDS = Gauge(
    "liqui_cache_ttl_seconds",
    "Mean time until the kept answers are removed",
    ["namespace"],
    multiprocess_mode="mostrecent",
)


def count(namespace: str, served: Served) -> None:
    result = "coalesced" if served.is_coalesced else served.state
    requests, seconds, size = counters(namespace, result)
    requests.inc()
    if served.state not in ("miss", "bypass"):
        seconds.inc(served.entry.cost_ms / 1000)
        size.inc(served.entry.size)


@cache
def counters(namespace: str, result: str) -> tuple[Counter, Counter, Counter]:
    """Looked up once: finding them by their labels takes as long as counting."""
    return REQUESTS.labels(namespace, result), SAVED_SECONDS.labels(namespace), SAVED_BYTES.labels(namespace)


def traffic(totals: Totals) -> dict[str, Figures]:
    """What was asked in each namespace since the processes started, and what answering from the cache has saved."""
    return {
        name: {figure: int(totals["liqui_cache_requests_total", name, result]) for result, figure in RESULTS.items()}
        | {
            "saved_bytes": int(totals["liqui_cache_saved_bytes_total", name, ""]),
            "saved_seconds": round(totals["liqui_cache_saved_seconds_total", name, ""], 3),
        }
        for name in namespaces
    }


def counted() -> Totals:
    """The sum of each counter over all processes that share the folder of figures."""
    files = map(str, Path(settings.METRICS_DIR).glob("counter_*.db"))
    sums: Totals = defaultdict(float)
    for family in MultiProcessCollector.merge(files, accumulate=True):
        for sample in family.samples:
            sums[sample.name, sample.labels.get("namespace", ""), sample.labels.get("result", "")] += sample.value
    return sums


def breakers_open() -> int:
    """How many of the living processes do without the cache's server."""
    files = map(str, Path(settings.METRICS_DIR).glob("gauge_livesum_*.db"))
    families = MultiProcessCollector.merge(files, accumulate=True)
    return int(sum(s.value for family in families for s in family.samples if s.name == "liqui_cache_breaker_open"))


def contents() -> tuple[dict[str, Figures], bool]:
    """What is kept of each namespace: answers, bytes, mean seconds until removal; and whether that is all there is."""
    kept: dict[str, list[EntryInfo]] = {name: [] for name in namespaces}
    give_up_at, is_all = time.monotonic() + MAX_SECONDS, True
    for looked_at, entry in enumerate(store().entries("*")):
        if looked_at == MAX_LOOKED_AT or time.monotonic() > give_up_at:
            is_all = False
            break
        kept.setdefault(entry.key.partition(":")[0], []).append(entry)
    return {name: summary(entries) for name, entries in kept.items()}, is_all


def summary(entries: Sequence[EntryInfo]) -> Figures:
    return {
        "keys": len(entries),
        "bytes": sum(entry.bytes for entry in entries),
        "ttl_seconds": round(fmean(entry.ttl_s for entry in entries), 1) if entries else 0,
    }


def gauges_set(kept: Mapping[str, Figures]) -> None:
    """Let Prometheus see what `contents` has found."""
    for name, figures in kept.items():
        KEYS.labels(name).set(figures["keys"])
        BYTES.labels(name).set(figures["bytes"])
        TTL_SECONDS.labels(name).set(figures["ttl_seconds"])
