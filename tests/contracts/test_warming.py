"""What warming makes is what clients ask for: rows D047 and D048 of the contract."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from cachemgmt import hits
from cachemgmt.warming import latest
from liquidations.caching import warm_requests
from liquidations.domain import DAY_MS
from tests.cache import TOKEN, cache_empty, operate
from tests.factories import HOUR, MINUTE, order
from tests.live import wait_until

Ask = Callable[..., Any]
Write = Callable[..., Any]

SYMBOLS = ["BTCUSDT", "ETHUSDT", "ADAUSDT", "SOLUSDT", "XRPUSDT"]
TIMEFRAMES_MS = {"5m": 5 * MINUTE, "15m": 15 * MINUTE, "1h": HOUR, "4h": 4 * HOUR, "1d": DAY_MS}


@pytest.fixture(autouse=True)
def warm_cache(write: Write, settings: Any) -> int:
    """Orders of the last days, nothing kept, and answers about the present that outlive a slow test; the time in ms."""
    settings.LIQUI_TOKEN = TOKEN
    settings.CACHE_TTL_RECENT_SECONDS = settings.CACHE_TTL_NEGATIVE_SECONDS = 60
    cache_empty()
    now = now_ms()
    write([order(now - hour * HOUR, symbol=symbol) for symbol in SYMBOLS[:4] for hour in range(1, 60)])
    return now


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def warm(client: Client) -> int:
    """Have the cache warmed, within one timeframe; the time (ms) for which that was done."""
    began = now_ms()
    body = operate(client, "warm")
    assert body == {"message": "Cache warming started in background", "status": "initiated"}
    wait_until(lambda: has_ended_since(began), 60, "the cache is warm")
    # A candle that has closed meanwhile makes clients ask for another window.
    has_moved_on = now_ms() // (5 * MINUTE) != began // (5 * MINUTE)
    return warm(client) if has_moved_on else began


def has_ended_since(began: int) -> bool:
    progress = latest()
    return progress is not None and progress.started_ms >= began and not progress.is_running


@pytest.mark.contract("D047")
def test_after_warming_the_25_combinations_and_the_symbols_are_hits(ask: Ask, client: Client) -> None:
    now = warm(client)
    states = {
        (symbol, timeframe): ask(
            "/api/liquidations",
            symbol=symbol,
            timeframe=timeframe,
            start_timestamp=now - now % length - DAY_MS,
            end_timestamp=now - now % length,
        ).headers["X-Cache"]
        for symbol in SYMBOLS
        for timeframe, length in TIMEFRAMES_MS.items()
    }
    assert len(states) == 25
    assert set(states.values()) == {"hit"}
    assert ask("/api/symbols").headers["X-Cache"] == "hit"


@pytest.mark.contract("D048")
@pytest.mark.parametrize("limit", [50, 100])
def test_the_terminals_first_request_for_orders_is_a_hit(ask: Ask, client: Client, limit: int) -> None:
    warm(client)
    response = ask("/api/liquidation-orders", symbol="BTCUSDT", limit=limit)
    assert (response.status_code, response.headers["X-Cache"], len(response.json())) == (200, "hit", min(limit, 59))


@pytest.mark.contract("D048")
def test_a_warmed_answer_is_hit_however_the_client_spells_the_request(ask: Ask, client: Client) -> None:
    now = warm(client)
    end = now - now % HOUR
    iso = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(end // 1000))
    spelled = {"timeframe": "60m", "symbol": "btcusdt", "end_timestamp": iso, "start_timestamp": end - DAY_MS}
    response = ask("/api/liquidations", **spelled)
    assert (response.status_code, response.headers["X-Cache"]) == (200, "hit")
    assert response.json()[0]["timestamp"] == end - DAY_MS


@pytest.mark.contract("D048")
def test_a_warmed_answer_is_the_one_that_a_cold_request_gets(ask: Ask, client: Client, settings: Any) -> None:
    requests = list(warm_requests(warm(client)))
    warmed = [ask(request.namespace.path, **request.query) for request in requests]
    settings.CACHE_ENABLED = False
    hits.remembered.clear()
    cold = [ask(request.namespace.path, **request.query) for request in requests]
    assert {response.headers["X-Cache"] for response in warmed} == {"hit"}
    assert {response.headers["X-Cache"] for response in cold} == {"bypass"}
    assert [(one.status_code, one.content) for one in warmed] == [(one.status_code, one.content) for one in cold]


def test_the_statistics_tell_how_warming_went(client: Client) -> None:
    warm(client)
    stats: Any = client.get("/api/cache/stats", headers={"X-Liqui-Token": TOKEN})
    progress = stats.json()["cache_stats"]["warming"]
    assert list(progress) == ["is_running", "started", "total", "done", "made", "failed", "seconds"]
    assert (progress["is_running"], progress["total"], progress["done"], progress["failed"]) == (False, 36, 36, 0)
