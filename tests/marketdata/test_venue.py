"""The process's access to the venue: shared requests, what they count, and which feeds may ask."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from prometheus_client import REGISTRY

from marketdata import venue as venue_module
from marketdata.errors import FeedMismatch, LiquiError, UnknownSymbol, VenueRateLimited, VenueUnavailable
from marketdata.venue import collectors_venue, venue, venue_reset
from tests.marketdata.conftest import Exchange, listed
from tests.marketdata.test_binance_rest import DEPTH

CALLERS = 12


@pytest.fixture(autouse=True)
def live(exchange: Exchange, settings: Any) -> Iterator[None]:
    settings.BINANCE_API_BASE_URL, settings.LIQUI_FEED = exchange.url, "live"
    exchange.body = DEPTH
    yield
    venue_reset()


def at_once(ask: Any) -> list[Any]:
    """What ``ask`` gives each of the callers, who all call at the same moment: an answer, or an error."""
    barrier = Barrier(CALLERS)

    def call(number: int) -> Any:
        barrier.wait()
        try:
            return ask(number)
        except LiquiError as error:
            return error

    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(call, range(CALLERS)))


def figure(name: str, path: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"path": path} | labels) or 0.0


def test_callers_that_meet_share_one_request_and_it_is_counted_once(exchange: Exchange) -> None:
    path = "/fapi/v1/depth"
    names = ("liqui_venue_requests_total", {"outcome": "ok"}), ("liqui_venue_shared_total", {})
    before = [figure(name, path, **labels) for name, labels in names]
    exchange.delay_s = 0.3
    books = at_once(lambda _: venue().depth("SUSHIUSDT", 100))
    assert len({id(book) for book in books}) == 1
    assert exchange.asked == ["/fapi/v1/depth?symbol=SUSHIUSDT&limit=100"]
    assert [figure(name, path, **labels) for name, labels in names] == [before[0] + 1, before[1] + CALLERS - 1]
    # A later caller is told the truth of that time.
    exchange.delay_s = 0
    venue().depth("SUSHIUSDT", 100)
    assert len(exchange.asked) == 2


def test_other_arguments_are_another_request(exchange: Exchange) -> None:
    exchange.delay_s = 0.2
    at_once(lambda number: venue().depth(f"S{number % 3}USDT"))
    assert len(exchange.asked) == 3
    exchange.body = b"[]"
    at_once(lambda number: venue().klines("BTCUSDT", "1m", start_ms=number % 2))
    assert len(exchange.asked) == 5


def test_an_error_is_shared_too_and_forgotten(exchange: Exchange) -> None:
    exchange.delay_s, exchange.status, exchange.body = 0.3, 400, b'{"code":-1121,"msg":"Invalid symbol."}'
    name, path = "liqui_venue_requests_total", "/fapi/v1/aggTrades"
    before = figure(name, path, outcome="unknown_symbol")
    errors = at_once(lambda _: venue().agg_trades("NOPE"))
    assert {type(error) for error in errors} == {UnknownSymbol}
    assert len(exchange.asked) == 1
    assert figure(name, path, outcome="unknown_symbol") == before + 1
    exchange.delay_s, exchange.status, exchange.body = 0, 200, b"[]"
    assert venue().agg_trades("NOPE") == []


def test_whoever_waits_for_a_request_that_was_broken_off_is_told_so(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    access = venue()
    started = Barrier(2)
    shared = figure("liqui_venue_shared_total", "/fapi/v1/depth")

    def broken_off(*_: Any) -> None:
        started.wait()
        started.wait()
        raise KeyboardInterrupt

    monkeypatch.setattr(access.rest, "depth", broken_off)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(access.depth, "SUSHIUSDT")
        started.wait()
        second = pool.submit(access.depth, "SUSHIUSDT")
        # It has joined once it is counted.
        while figure("liqui_venue_shared_total", "/fapi/v1/depth") == shared:
            time.sleep(0.005)
        started.wait()
        assert isinstance(first.exception(10), KeyboardInterrupt)
        assert "broken off" in str(second.exception(10))
    assert not access.asked


def test_nobody_waits_for_ever(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(venue_module, "PATIENCE_S", 0.05)
    exchange.delay_s = 0.5
    answers = at_once(lambda _: venue().depth("SUSHIUSDT"))
    assert sorted({type(answer).__name__ for answer in answers}) == ["DepthSnapshot", "VenueUnavailable"]


def test_the_limits_that_the_venue_named_hold_for_all_callers(exchange: Exchange) -> None:
    exchange.status = 429
    for ask in (lambda: venue().depth("A"), lambda: venue().tickers(), lambda: venue().instruments()):
        with pytest.raises(VenueRateLimited):
            ask()
    assert len(exchange.asked) == 1
    venue_reset()
    exchange.status = 200
    assert venue().depth("A").symbol == "A"


def test_clients_leave_the_collector_a_part_of_the_weight_and_a_refusal_holds_for_both(exchange: Exchange) -> None:
    exchange.headers, exchange.date = {"X-MBX-USED-WEIGHT-1M": "1200"}, "Sat, 28 Nov 2026 12:30:15 GMT"
    venue().depth("BTCUSDT")
    with pytest.raises(VenueRateLimited, match="allows no requests now"):
        venue().depth("BTCUSDT")
    exchange.headers = {"X-MBX-USED-WEIGHT-1M": "1900"}
    collectors_venue().depth("BTCUSDT")
    exchange.headers = {"X-MBX-USED-WEIGHT-1M": "1", "Retry-After": "7"}
    exchange.status = 429
    for ask in (collectors_venue, collectors_venue, venue):
        with pytest.raises(VenueRateLimited):
            ask().depth("BTCUSDT")
    assert len(exchange.asked) == 3


def test_the_exchange_is_the_one_that_the_settings_name_at_the_time(exchange: Exchange, settings: Any) -> None:
    settings.BINANCE_API_BASE_URL = "http://127.0.0.1:9"
    with pytest.raises(VenueUnavailable):
        venue().depth("A")
    settings.BINANCE_API_BASE_URL = exchange.url
    assert venue().depth("A").symbol == "A"
    assert venue() is venue()


@pytest.mark.parametrize("feed", ["none", "sample"])
def test_a_feed_that_collects_nothing_asks_for_no_market_data_but_for_instruments(
    exchange: Exchange, settings: Any, feed: str
) -> None:
    settings.LIQUI_FEED = feed
    access = venue()
    for ask in (
        access.depth,
        access.agg_trades,
        lambda symbol: access.klines(symbol, "1m"),
        lambda _: access.tickers(),
    ):
        with pytest.raises(VenueUnavailable, match=f"FEED={feed} asks no venue"):
            ask("BTCUSDT")
    assert not exchange.asked
    exchange.lists(listed("BTCUSDT"))
    assert [instrument.symbol for instrument in access.instruments()] == ["BTCUSDT"]


def test_made_up_data_and_real_ones_are_never_taken_for_each_other(exchange: Exchange, settings: Any) -> None:
    exchange.headers = {"X-Liqui-Simulated": "1"}
    with pytest.raises(FeedMismatch, match="is a simulated exchange and FEED=live keeps real data"):
        venue().depth("A")
    for feed in ("simulated", "replay"):
        settings.LIQUI_FEED, exchange.headers = feed, {"X-Liqui-Simulated": "1"}
        assert venue().depth("A").symbol == "A"
        exchange.headers = {}
        with pytest.raises(FeedMismatch, match=f"is no simulated exchange and FEED={feed} keeps made-up data"):
            venue().depth("A")
