"""Figures: sums over all processes, in Prometheus' format and for operators."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as configured
from prometheus_client.parser import text_string_to_metric_families

from cachemgmt import figures
from cachemgmt.figures import contents, count, counted, gauges_set, traffic
from cachemgmt.stores.breaker import Breaker
from cachemgmt.tasks import count as count_task
from cachemgmt.types import Entry, Served
from tests.cache import cache_empty
from tests.factories import T0, order
from tests.live import wait_until

Ask = Callable[..., Any]
Write = Callable[..., Any]

ENTRY = Entry(200, "application/json", '"x"', 0, 1000, 1, 1, 250.0, 4000, False, "", 0, 0, "", b"x" * 100)
OTHER_PROCESS = """
import django; django.setup()
from cachemgmt.figures import count
from cachemgmt.types import Entry, Served
entry = Entry(200, "application/json", '"x"', 0, 1000, 1, 1, 250.0, 4000, False, "", 0, 0, "", b"x")
for _ in range(7): count("liq", Served(entry, "hit"))
"""


def samples(client: Any) -> dict[tuple[str, str], float]:
    """Prometheus' samples of the cache, by name and namespace (or result)."""
    text = client.get("/metrics").content.decode()
    return {
        (sample.name, ":".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        if family.name.startswith("liqui_cache")
        for sample in family.samples
    }


def test_each_result_is_counted_under_its_name() -> None:
    before = traffic(counted())["liq"]
    for served in (
        Served(ENTRY, "hit"),
        Served(ENTRY, "miss"),
        Served(ENTRY, "stale"),
        Served(ENTRY, "bypass"),
        Served(ENTRY, "hit", is_coalesced=True),
    ):
        count("liq", served)
    after = traffic(counted())["liq"]
    gained = {name: round(after[name] - before[name], 3) for name in after}
    # Saved: all but the miss and what is never kept, 250 ms and 4000 bytes each.
    assert gained == {
        "hits": 1,
        "misses": 1,
        "stale": 1,
        "coalesced": 1,
        "bypassed": 1,
        "saved_bytes": 12_000,
        "saved_seconds": 0.75,
    }


def test_other_processes_counts_are_added() -> None:
    before = traffic(counted())["liq"]["hits"]
    subprocess.run([sys.executable, "-c", OTHER_PROCESS], check=True, cwd=configured.BASE_DIR, timeout=60)
    assert traffic(counted())["liq"]["hits"] == before + 7


def test_prometheus_sees_requests_and_what_is_kept(write: Write, ask: Ask, client: Any) -> None:
    cache_empty()
    before = samples(client)
    write([order(T0)])
    for _ in range(3):
        ask("/api/liquidation-orders", symbol="BTCUSDT", limit=5)
    count_task.apply(throw=True)
    after = samples(client)

    def gained(result: str) -> float:
        name = "liqui_cache_requests_total", f"orders:{result}"
        return after.get(name, 0) - before.get(name, 0)

    assert (gained("miss"), gained("hit")) == (1, 2)
    assert after["liqui_cache_keys", "orders"] == 1
    assert after["liqui_cache_bytes", "orders"] > 0
    assert after["liqui_cache_ttl_seconds", "orders"] > 0
    assert after["liqui_cache_keys", "liq"] == 0


def test_an_open_breaker_is_seen_and_so_is_its_closing(client: Any) -> None:
    is_down = True

    def mend() -> None:
        if is_down:
            raise ConnectionError("refused")

    breaker = Breaker("Redis", mend)
    before = samples(client).get(("liqui_cache_breaker_openings_total", ""), 0)
    for _ in range(3):
        breaker.open(ConnectionError("refused"))
    opened = samples(client)
    assert opened["liqui_cache_breaker_open", ""] == 1
    assert opened["liqui_cache_breaker_openings_total", ""] == before + 1
    is_down = False
    wait_until(lambda: samples(client)["liqui_cache_breaker_open", ""] == 0, 30, "the breaker is closed")


def test_a_gauge_shows_what_the_last_process_saw_and_not_a_sum() -> None:
    gauges_set({"liq": {"keys": 3, "bytes": 3, "ttl_seconds": 3}})
    gauges_set({"liq": {"keys": 2, "bytes": 2, "ttl_seconds": 2}})
    assert figures.KEYS._multiprocess_mode == "mostrecent"


def test_a_look_at_very_many_answers_ends_early_and_says_so(
    write: Write, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_empty()
    write([order(T0)])
    for limit in range(1, 6):
        ask("/api/liquidation-orders", symbol="BTCUSDT", limit=limit)
    kept, is_all = contents()
    assert (kept["orders"]["keys"], is_all) == (5, True)
    monkeypatch.setattr(figures, "MAX_LOOKED_AT", 3)
    kept, is_all = contents()
    assert (kept["orders"]["keys"], is_all) == (3, False)
