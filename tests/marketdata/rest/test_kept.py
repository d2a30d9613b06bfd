"""Order books and trades are the venue's, and it is asked once for all clients."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from django.db import connection
from django.test import Client

from marketdata.clock import clock_ms
from marketdata.models import InstrumentRow
from marketdata.rest import kept
from marketdata.rest.kept import BOOK_KEPT_S
from marketdata.venue import venue_reset
from tests.marketdata.conftest import Exchange

Ask = Callable[..., Any]
CLIENTS = 12
MOST_LEVELS = 1000
NOW = 1_704_067_200_000


def depth(levels: int = MOST_LEVELS) -> bytes:
    """The venue's answer: bids 50000, 49999…, asks 50001, 50002…"""
    bids = [[f"{50_000 - number}.00", f"{number + 1}.500"] for number in range(levels)]
    asks = [[f"{50_001 + number}.00", f"{number + 1}.250"] for number in range(levels)]
    return msgspec.json.encode({"lastUpdateId": 1, "E": NOW, "T": NOW, "bids": bids, "asks": asks})


def trades(count: int) -> bytes:
    rows = [
        {"a": id, "p": "50000.10", "q": "0.500", "f": id, "l": id, "T": NOW + id, "m": id % 2 == 0}
        for id in range(1, count + 1)
    ]
    return msgspec.json.encode(rows)


@pytest.fixture
def venue(exchange: Exchange, settings: Any, transactional_db: None) -> Iterator[Exchange]:
    settings.BINANCE_API_BASE_URL, settings.LIQUI_FEED = exchange.url, "simulated"
    exchange.headers = {"X-Liqui-Simulated": "1"}
    exchange.body = depth()
    for symbol, is_active in (("BTCUSDT", True), ("ETHUSDT", True), ("LUNAUSDT", False)):
        InstrumentRow.objects.create(symbol=symbol, tick_size=Decimal("0.1"), is_active=is_active)
    yield exchange
    venue_reset()


@pytest.fixture
def ask(client: Client) -> Ask:
    return lambda path, **parameters: client.get(f"/api/v1/{path}", parameters)


def test_many_clients_cost_one_request(venue: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    venue.body, venue.delay_s = depth(100), 0.2
    # Longer than a busy machine needs to begin them all.
    monkeypatch.setattr(kept, "BOOK_KEPT_S", 60.0)

    def fetch(number: int) -> Any:
        try:
            return Client().get("/api/v1/orderbook/BTCUSDT", {"limit": 100 - number}).json()
        finally:
            connection.close()

    with ThreadPoolExecutor(CLIENTS) as clients:
        books = list(clients.map(fetch, range(CLIENTS)))
    assert [len(book["bids"]) for book in books] == [100 - number for number in range(CLIENTS)]
    assert len(venue.asked) == 1
    assert "limit=100" in venue.asked[0]


def test_an_answer_is_kept_for_about_a_second(venue: Exchange, ask: Ask) -> None:
    first, second = (ask("orderbook/BTCUSDT", limit=50) for _ in range(2))
    assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("miss", "hit")
    assert second.headers["Cache-Control"] == "public, max-age=0"
    assert first.content == second.content
    ask("orderbook/ETHUSDT", limit=50)
    ask("orderbook/BTCUSDT", limit=500)
    assert len(venue.asked) == 3
    time.sleep(BOOK_KEPT_S)
    assert ask("orderbook/BTCUSDT", limit=50).headers["X-Cache"] == "miss"
    assert len(venue.asked) == 4


@pytest.mark.parametrize(("limit", "asked", "levels"), [(1, 5, 1), (7, 10, 7), (20, 20, 20), (5000, 1000, 1000)])
def test_a_book_has_as_many_levels_as_were_asked_for(
    venue: Exchange, ask: Ask, limit: int, asked: int, levels: int
) -> None:
    venue.body = depth(asked)
    book = ask("orderbook/BTCUSDT", limit=limit).json()
    assert f"limit={asked}" in venue.asked[0]
    assert [level["price"] for level in book["bids"]] == [50_000 - number for number in range(levels)]
    assert [level["price"] for level in book["asks"]] == [50_001 + number for number in range(levels)]
    assert (book["symbol"], book["timestamp"]) == ("BTCUSDT", NOW)


def test_without_a_cache_the_venue_is_asked_each_time(venue: Exchange, ask: Ask, uncached: None) -> None:
    venue.body = depth(50)
    for limit in (50, 30):
        assert len(ask("orderbook/BTCUSDT", limit=limit).json()["bids"]) == limit
    assert len(venue.asked) == 2


def test_trades_are_newest_first_and_as_new_as_asked(venue: Exchange, ask: Ask) -> None:
    venue.body = trades(100)
    body = ask("trades/BTCUSDT").json()
    assert [trade["id"] for trade in body["trades"]] == [str(id) for id in range(100, 0, -1)]
    assert [trade["side"] for trade in body["trades"][:2]] == ["sell", "buy"]
    assert abs(body["timestamp"] - clock_ms()) < 5000
    for since in (NOW + 98, "2024-01-01T00:00:00.098Z"):
        assert [trade["id"] for trade in ask("trades/BTCUSDT", since=since).json()["trades"]] == ["100", "99", "98"]
    assert [trade["id"] for trade in ask("trades/BTCUSDT", limit=2).json()["trades"]] == ["100", "99"]
    assert ask("trades/BTCUSDT", since=NOW + 10**9).json()["trades"] == []
    assert len(venue.asked) == 1
    response = ask("trades/BTCUSDT", since="yesterday")
    assert (response.status_code, response.json()) == (
        400,
        {"detail": "since must be Unix milliseconds or a time in ISO format", "status_code": 400},
    )


@pytest.mark.parametrize(
    ("status", "headers", "retry_after", "text"),
    [
        (429, {"Retry-After": "17"}, "17", "the exchange allows no more requests now, try again in 17 s"),
        (451, {}, "60", "the exchange does not serve this server"),
        (503, {}, "5", "the exchange cannot be reached"),
    ],
)
def test_trouble_with_the_venue_is_told_without_our_insides(
    venue: Exchange, ask: Ask, status: int, headers: dict[str, str], retry_after: str, text: str
) -> None:
    venue.status = status
    venue.headers |= headers
    for path, what in (("orderbook", "order book"), ("trades", "trades")):
        response = ask(f"{path}/BTCUSDT")
        detail = f"Failed to fetch {what} for BTCUSDT: {text}"
        assert (response.status_code, response.json()) == (503, {"detail": detail, "status_code": 503})
        assert response.headers["Retry-After"] == retry_after


def test_an_answer_that_cannot_be_understood_is_the_venues_fault(venue: Exchange, ask: Ask) -> None:
    venue.body = b"<html>"
    response = ask("orderbook/BTCUSDT")
    assert response.status_code == 503
    assert response.json()["detail"].endswith("the exchange's answer cannot be understood")


def test_what_is_not_traded_is_not_found_and_the_venue_not_asked(venue: Exchange, ask: Ask) -> None:
    for path in ("orderbook", "trades"):
        response = ask(f"{path}/LUNAUSDT")
        detail = "Symbol LUNAUSDT is not traded"
        assert (response.status_code, response.json()) == (404, {"detail": detail, "status_code": 404})
    assert venue.asked == []


def test_a_symbol_that_only_the_venue_does_not_know_is_not_found(venue: Exchange, ask: Ask) -> None:
    venue.status, venue.body = 400, b'{"code":-1121,"msg":"Invalid symbol."}'
    for limit in (100, 7):
        response = ask("orderbook/BTCUSDT", limit=limit)
        detail = "Symbol BTCUSDT is not traded"
        assert (response.status_code, response.json()) == (404, {"detail": detail, "status_code": 404})


def test_a_service_that_follows_no_exchange_says_so(venue: Exchange, ask: Ask, settings: Any) -> None:
    settings.LIQUI_FEED = "none"
    response = ask("orderbook/BTCUSDT")
    detail = "Failed to fetch order book for BTCUSDT: no exchange is followed here"
    assert (response.status_code, response.json()) == (503, {"detail": detail, "status_code": 503})
    assert venue.asked == []
