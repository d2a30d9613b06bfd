"""GET /api/v1/symbols, /api/v1/symbol-cache-stats and POST /api/v1/refresh-symbols: rows D070 to D076 and D126."""

import gzip
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from accounts.models import AuditEntry
from cachemgmt.stores import store
from marketdata.clock import clock_ms
from marketdata.models import InstrumentRow
from marketdata.services import instruments_switch, instruments_sync
from marketdata.symbols import caching
from marketdata.symbols.caching import SYMBOLS
from marketdata.symbols.service import symbols_reset
from marketdata.venue import venue_reset
from tests.cache import TOKEN, cache_empty
from tests.marketdata.conftest import Exchange, exchange, listed
from tools.servers import free_port

__all__ = ["exchange"]  # a fixture

Ask = Callable[..., Any]
PATH = "/api/v1/symbols"
KEYS = ["id", "symbol", "baseAsset", "quoteAsset", "uiName", "volume24h", "volume24hFormatted", "pricePrecision",
        "priceFormat", "roundingOptions", "defaultRounding"]  # fmt: skip
# Byte for byte what the original answered.
SAMPLE = (
    b'{"id":"BTCUSDT","symbol":"BTC/USDT:USDT","baseAsset":"BTC","quoteAsset":"USDT","uiName":"BTC/USDT",'
    b'"volume24h":12590000000.0,"volume24hFormatted":"12.59B","pricePrecision":1,'
    b'"priceFormat":{"type":"price","precision":1,"minMove":0.1},'
    b'"roundingOptions":[0.1,1.0,10.0,100.0,1000.0],"defaultRounding":10.0}'
)
STATS = ["initialized", "symbol_count", "exchange_symbol_count", "markets_loaded", "ticker_cache_loaded",
         "ticker_cache_age_seconds", "ticker_cache_ttl_seconds"]  # fmt: skip


@pytest.fixture(autouse=True)
def venue_of_the_test(exchange: Exchange, settings: Any) -> Iterator[Exchange]:
    settings.BINANCE_API_BASE_URL, settings.LIQUI_FEED, settings.LIQUI_TOKEN = exchange.url, "live", TOKEN
    exchange.trades(BTCUSDT=("63943.90", "12590000000"))
    cache_empty()
    yield exchange
    venue_reset()
    symbols_reset()


def refresh(client: Client, token: str = TOKEN) -> Any:
    return client.post("/api/v1/refresh-symbols", headers={"X-Liqui-Token": token})


def ids(ask: Ask) -> list[str]:
    return [symbol["id"] for symbol in ask(PATH).json()]


@pytest.mark.contract("D070")
def test_a_symbol_is_to_the_byte_what_the_original_answered(db: None, exchange: Exchange, ask: Ask) -> None:
    exchange.lists(listed("BTCUSDT", tick="0.10"))
    response = ask(PATH)
    assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
    assert response.content == b"[" + SAMPLE + b"]"
    assert "X-Liqui-Fallback" not in response.headers


@pytest.mark.contract("D070")
@pytest.mark.parametrize("year", ["2021-07-22", "2025-11-26"])
def test_every_recorded_symbol_has_the_eleven_keys_in_their_order(
    db: None, exchange: Exchange, ask: Ask, recordings: Path, year: str
) -> None:
    exchange.body = gzip.decompress((recordings / f"exchangeinfo_{year}.json.gz").read_bytes())
    symbols = ask(PATH).json()
    info = json.loads(exchange.body)["symbols"]
    perpetuals = {
        row["symbol"]
        for row in info
        if row["status"] == "TRADING" and row["quoteAsset"] == "USDT" and row["contractType"] == "PERPETUAL"
    }
    assert {symbol["id"] for symbol in symbols} == perpetuals
    assert all(list(symbol) == KEYS for symbol in symbols)
    assert all(list(symbol["priceFormat"]) == ["type", "precision", "minMove"] for symbol in symbols)


@pytest.mark.contract("D071")
def test_only_enabled_perpetuals_against_usdt_are_listed_the_most_traded_first(
    db: None, exchange: Exchange, ask: Ask
) -> None:
    exchange.lists(
        listed("ZZZUSDT"),
        listed("AAAUSDT"),
        listed("ETHUSDT"),
        listed("BTCUSDT"),
        listed("DEADUSDT"),
        listed("BTCUSDC", quote="USDC"),
        listed("BTCUSDT_251226", "BTC", contractType="CURRENT_QUARTER"),
        listed("OLDUSDT", status="SETTLING"),
        listed("OFFUSDT"),
    )
    exchange.trades(BTCUSDT=("60000", "7"), ETHUSDT=("3000", "9"), DEADUSDT=("1", "0"))
    ask(PATH)
    InstrumentRow.objects.filter(symbol="OFFUSDT").update(is_active=False)
    InstrumentRow.objects.create(symbol="AAPL", exchange="nasdaq", asset_type="STOCK")
    cache_empty()
    symbols = ask(PATH).json()
    assert [symbol["id"] for symbol in symbols] == ["ETHUSDT", "BTCUSDT", "ZZZUSDT", "AAAUSDT", "DEADUSDT"]
    assert [symbol["volume24h"] for symbol in symbols] == [9.0, 7.0, None, None, 0.0]


@pytest.mark.contract("D072")
def test_volumes_are_shown_with_their_unit(db: None, ask: Ask) -> None:
    now_ms = clock_ms()
    volumes = {"A": "12590000000", "B": "456780000", "C": "1234", "D": "999", "E": "0", "F": None}
    for name, volume in volumes.items():
        InstrumentRow.objects.create(symbol=f"{name}USDT", volume_24h=volume, volume_at_ms=now_ms, last_seen_ms=now_ms)
    shown = [symbol["volume24hFormatted"] for symbol in ask(PATH).json()]
    assert shown == ["12.59B", "456.78M", "1.23K", "999.00", "", ""]


@pytest.mark.contract("D073")
@pytest.mark.contract("D075")
@pytest.mark.parametrize(
    ("tick", "shown", "precision", "min_move"),
    [
        ("0.10", 1, 1, 0.1),
        ("0.25", 2, 2, 0.01),
        ("1", 0, 0, 1.0),
        ("0.0000001", 7, 7, 1e-7),
        ("0.0000000001", 10, 8, 1e-8),
        ("0", None, 2, 0.01),
    ],
)
def test_the_price_format_follows_the_price_step(
    db: None, exchange: Exchange, ask: Ask, tick: str, shown: int | None, precision: int, min_move: float
) -> None:
    exchange.lists(listed("BTCUSDT", tick=tick))
    [symbol] = ask(PATH).json()
    assert symbol["pricePrecision"] == shown
    assert symbol["priceFormat"] == {"type": "price", "precision": precision, "minMove": min_move}


@pytest.mark.contract("D074")
@pytest.mark.parametrize(
    ("tick", "price", "options", "default"),
    [
        ("0.10", "63943.90", [0.1, 1.0, 10.0, 100.0, 1000.0], 10.0),
        ("0.0000001", "0.0000123", [1e-7, 1e-6], 1e-6),
        ("0.00001", "0.5", [1e-5, 1e-4, 0.001, 0.01], 0.001),
        ("0.00001", "900000", [1e-5, 1e-4, 0.001, 0.01, 0.1, 1.0, 10.0], 0.001),
        ("0", "5", [], 0.01),
    ],
)
def test_roundings_are_powers_of_ten_up_to_a_tenth_of_the_last_price(
    db: None, exchange: Exchange, ask: Ask, tick: str, price: str, options: list[float], default: float
) -> None:
    exchange.lists(listed("BTCUSDT", tick=tick))
    exchange.trades(BTCUSDT=(price, "1"))
    [symbol] = ask(PATH).json()
    assert (symbol["roundingOptions"], symbol["defaultRounding"]) == (options, default)


@pytest.mark.contract("D074")
def test_without_a_last_price_the_largest_rounding_is_a_thousand(db: None, ask: Ask) -> None:
    InstrumentRow.objects.create(symbol="BTCUSDT", tick_size="0.1", last_seen_ms=1)
    [symbol] = ask(PATH).json()
    assert symbol["roundingOptions"] == [0.1, 1.0, 10.0, 100.0, 1000.0]


def test_a_row_inserted_by_plain_sql_is_a_symbol(db: None, ask: Ask) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO symbols (symbol, exchange, asset_type, is_active) VALUES (%s, %s, %s, %s)",
            ["MINEUSDT", "binance", "CRYPTO", True],
        )
    assert [symbol for symbol in ask(PATH).json() if symbol["id"] == "MINEUSDT"] == [
        {
            "id": "MINEUSDT",
            "symbol": "MINE/USDT:USDT",
            "baseAsset": "MINE",
            "quoteAsset": "USDT",
            "uiName": "MINE/USDT",
            "volume24h": None,
            "volume24hFormatted": "",
            "pricePrecision": None,
            "priceFormat": {"type": "price", "precision": 2, "minMove": 0.01},
            "roundingOptions": [],
            "defaultRounding": 0.01,
        }
    ]


# Kept answers, and what outdates them.


def test_the_list_is_kept_and_every_change_of_ours_outdates_it(
    transactional_db: None, exchange: Exchange, ask: Ask
) -> None:
    exchange.lists(listed("BTCUSDT"), listed("ETHUSDT"))
    assert ids(ask) == ["BTCUSDT", "ETHUSDT"]
    assert ask(PATH).headers["X-Cache"] == "hit"
    instruments_switch(InstrumentRow.objects.filter(symbol="BTCUSDT").values_list("pk", flat=True), is_active=False)
    assert ids(ask) == ["ETHUSDT"]
    exchange.lists(listed("BTCUSDT"), listed("ETHUSDT"), listed("NEWUSDT"))
    instruments_sync()
    assert ids(ask) == ["ETHUSDT", "NEWUSDT"]


def test_a_change_by_sql_alone_is_seen_within_seconds(
    transactional_db: None, exchange: Exchange, ask: Ask, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    exchange.lists(listed("BTCUSDT"), listed("ETHUSDT"))
    ask(PATH)
    entry = store().read(SYMBOLS.key({})).entry
    assert entry is not None
    assert entry.ttl_ms == 3000
    for symbols_s, expected_s in ((3600, 3.0), (2, 2), (0, 0)):
        settings.CACHE_TTL_SYMBOLS = symbols_s
        assert SYMBOLS.ttl_s({}) == expected_s
    settings.CACHE_TTL_SYMBOLS = 3600
    monkeypatch.setattr(caching, "UNSEEN_CHANGES_S", 0.05)
    cache_empty()
    assert ids(ask) == ["BTCUSDT", "ETHUSDT"]
    with connection.cursor() as cursor:
        cursor.execute("UPDATE symbols SET is_active = %s WHERE symbol = %s", [False, "BTCUSDT"])
    threading.Event().wait(0.12)
    assert ids(ask) == ["ETHUSDT"]


@pytest.mark.contract("D071")
def test_terminals_that_come_at_once_to_an_empty_table_share_one_request(
    transactional_db: None, exchange: Exchange
) -> None:
    exchange.lists(listed("BTCUSDT"))
    exchange.delay_s = 0.2
    barrier = threading.Barrier(8)

    def call(_: int) -> bytes:
        try:
            barrier.wait()
            return Client().get(PATH).content
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(call, range(8))) == {b"[" + SAMPLE + b"]"}
    assert exchange.asked == ["/fapi/v1/exchangeInfo", "/fapi/v1/ticker/24hr"]


# Without the venue.


def test_a_short_list_stands_in_for_a_venue_that_was_never_reached_and_says_so(
    transactional_db: None, exchange: Exchange, ask: Ask, settings: Any
) -> None:
    settings.BINANCE_API_BASE_URL = f"http://127.0.0.1:{free_port()}"
    response = ask(PATH)
    assert (response.status_code, response.headers["X-Liqui-Fallback"]) == (200, "builtin")
    assert len(response.json()) == 28
    assert all(list(symbol) == KEYS and symbol["volume24h"] is None for symbol in response.json())
    stats = ask("/api/v1/symbol-cache-stats").json()["cache_stats"]
    assert (stats["origin"], stats["initialized"], stats["markets_loaded"], stats["symbol_count"]) == (
        "builtin",
        True,
        False,
        28,
    )
    # The first answer of the venue replaces it.
    settings.BINANCE_API_BASE_URL = exchange.url
    exchange.lists(listed("BTCUSDT"))
    symbols_reset()
    response = ask(PATH)
    assert [symbol["id"] for symbol in response.json()] == ["BTCUSDT"]
    assert "X-Liqui-Fallback" not in response.headers


def test_a_feed_that_collects_nothing_lists_nothing_that_it_does_not_know(db: None, ask: Ask, settings: Any) -> None:
    settings.LIQUI_FEED = "none"
    response = ask(PATH)
    assert (response.status_code, response.content) == (200, b"[]")
    assert "X-Liqui-Fallback" not in response.headers


def test_volumes_that_cannot_be_had_are_no_error(db: None, exchange: Exchange, ask: Ask) -> None:
    exchange.lists(listed("BTCUSDT"))
    exchange.bodies["/fapi/v1/ticker/24hr"] = b"<html>"
    [symbol] = ask(PATH).json()
    assert (symbol["volume24h"], symbol["volume24hFormatted"]) == (None, "")


# Refreshing and figures.


@pytest.mark.contract("D076")
def test_figures_of_the_symbols_have_the_contracts_keys(db: None, exchange: Exchange, ask: Ask) -> None:
    exchange.lists(listed("BTCUSDT"), listed("ETHUSDT", status="SETTLING"))
    body = ask("/api/v1/symbol-cache-stats").json()
    assert list(body) == ["status", "cache_stats"]
    assert body["status"] == "success"
    stats = body["cache_stats"]
    assert list(stats)[: len(STATS)] == STATS
    age_s = stats["ticker_cache_age_seconds"]
    assert 0 <= age_s < 60
    assert [stats[key] for key in STATS] == [True, 2, 2, True, True, age_s, 300]
    assert (stats["origin"], stats["enabled_count"]) == ("table", 1)


@pytest.mark.contract("D076")
def test_figures_of_nothing(db: None, ask: Ask, settings: Any) -> None:
    settings.LIQUI_FEED = "none"
    stats = ask("/api/v1/symbol-cache-stats").json()["cache_stats"]
    assert [stats[key] for key in STATS] == [False, 0, 0, False, False, None, 300]


@pytest.mark.contract("D076")
def test_a_refresh_asks_the_venue_and_says_what_is_known_then(
    transactional_db: None, exchange: Exchange, client: Client, ask: Ask
) -> None:
    exchange.lists(listed("BTCUSDT"))
    assert ids(ask) == ["BTCUSDT"]
    exchange.lists(listed("BTCUSDT"), listed("ETHUSDT"))
    body = refresh(client).json()
    assert list(body) == ["status", "message", "cache_stats"]
    assert (body["status"], body["message"]) == ("success", "Symbol cache refreshed successfully")
    assert body["cache_stats"]["symbol_count"] == 2
    assert ids(ask) == ["BTCUSDT", "ETHUSDT"]
    entry = AuditEntry.objects.get(action="instruments.sync")
    assert (entry.outcome, entry.amount, entry.target) == ("done", 2, exchange.url)


@pytest.mark.contract("D076")
def test_a_refresh_that_fails_says_why_and_changes_nothing(
    transactional_db: None, exchange: Exchange, client: Client, ask: Ask
) -> None:
    exchange.lists(listed("BTCUSDT"))
    ids(ask)
    exchange.status = 451
    response = refresh(client)
    assert response.status_code == 503
    assert response.json() == {
        "detail": f"Failed to refresh symbols: binance: {exchange.url.removeprefix('http://')} answered 451: it does "
        "not serve this country or network (unavailable for legal reasons)",
        "status_code": 503,
    }
    assert response.headers["Retry-After"] == "5"
    assert ids(ask) == ["BTCUSDT"]
    assert AuditEntry.objects.get(action="instruments.sync").outcome == "failed"


def test_refreshing_is_for_operators(db: None, exchange: Exchange, client: Client) -> None:
    for response in (client.post("/api/v1/refresh-symbols"), refresh(client, "wrong")):
        assert response.status_code == 401
        assert set(response.json()) == {"detail", "status_code"}
    assert not exchange.asked
    assert client.get("/api/v1/refresh-symbols").status_code == 405


@pytest.mark.contract("D126")
def test_the_symbols_of_a_list_are_those_that_are_found(db: None, exchange: Exchange, ask: Ask) -> None:
    exchange.lists(listed("BTCUSDT"), listed("ETHUSDT"), listed("BCHUSDT"), listed("XRPUSDT"))
    assert len(ids(ask)) == 4
    response = ask("/api/v1/liquidation-volume/btcusd/1h")
    assert response.status_code == 404
    # This endpoint reads symbols in upper case.
    assert response.json()["detail"] == "Symbol BTCUSD not found. Did you mean: BTCUSDT?"
