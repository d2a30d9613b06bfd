"""Looking symbols up, and where they come from when the table is empty."""

import gzip
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.db import connection

from marketdata.clock import clock_ms
from marketdata.errors import SymbolNotFound
from marketdata.models import InstrumentRow
from marketdata.names import assets_guessed
from marketdata.symbols import service
from marketdata.symbols.builtin import BUILTIN
from marketdata.symbols.service import (
    VOLUME_LIFE_MS,
    Origin,
    symbol_find,
    symbol_known,
    symbol_suggestions,
    symbols_active,
    symbols_origin,
    symbols_ready,
    symbols_reset,
    symbols_traded,
)
from marketdata.symbols.stats import symbols_stats
from tests.marketdata.conftest import Exchange, listed
from tools.servers import free_port

pytestmark = pytest.mark.django_db
CALLERS = 10


@pytest.fixture(autouse=True)
def live(exchange: Exchange, settings: Any) -> Exchange:
    settings.BINANCE_API_BASE_URL, settings.LIQUI_FEED = exchange.url, "live"
    exchange.bodies["/fapi/v1/ticker/24hr"] = b"[]"
    return exchange


@pytest.fixture
def unreachable(settings: Any) -> None:
    settings.BINANCE_API_BASE_URL = f"http://127.0.0.1:{free_port()}"


def in_threads(work: Callable[[], Any]) -> list[Any]:
    barrier = Barrier(CALLERS)

    def call(_: int) -> Any:
        try:
            barrier.wait()
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(CALLERS) as pool:
        return list(pool.map(call, range(CALLERS)))


def test_an_empty_table_is_filled_before_anything_is_said_of_a_symbol(live: Exchange) -> None:
    live.lists(listed("BTCUSDT"), listed("ETHUSDT"))
    assert symbol_find("ETHUSDT").exchange_form == "ETH/USDT:USDT"
    with pytest.raises(SymbolNotFound, match=r"\ASymbol btcusdt not found\. Did you mean: BTCUSDT, ETHUSDT\?\Z"):
        symbol_find("btcusdt")
    assert symbol_known("NOPE") is None
    assert live.asked == ["/fapi/v1/exchangeInfo"]


def test_a_table_that_another_fills_between_two_looks_hides_nothing(
    live: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, missed = service.instrument_find, []

    def filled_after_the_first_look(symbol: str) -> Any:
        found = look(symbol)
        if not missed:
            missed.append(found)
            InstrumentRow.objects.create(symbol="BTCUSDT", exchange="binance", last_seen_ms=1)
        return found

    monkeypatch.setattr(service, "instrument_find", filled_after_the_first_look)
    assert symbol_find("BTCUSDT").symbol == "BTCUSDT"
    assert missed == [None]


@pytest.mark.django_db(transaction=True)
def test_callers_that_meet_an_empty_table_share_one_request(live: Exchange) -> None:
    live.lists(listed("BTCUSDT"))
    live.delay_s = 0.2
    assert in_threads(lambda: symbol_find("BTCUSDT").symbol) == ["BTCUSDT"] * CALLERS
    assert live.asked == ["/fapi/v1/exchangeInfo"]


@pytest.mark.django_db(transaction=True)
def test_callers_that_meet_an_unreachable_venue_ask_it_once(live: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    live.status, live.delay_s = 503, 0.2
    assert in_threads(symbols_origin) == [Origin.BUILTIN] * CALLERS
    assert len(live.asked) == 1
    # It is asked again after a while, and then by all that were waiting for it.
    live.status = 200
    live.lists(listed("XUSDT"))
    assert symbol_known("XUSDT") is None
    monkeypatch.setattr(service, "RETRY_S", 0.0)
    assert symbol_find("XUSDT").symbol == "XUSDT"
    assert symbol_known("BTCUSDT") is None


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_long_for_volumes_that_another_one_is_asking_for(
    live: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "PATIENCE_S", 0.1)
    live.lists(listed("BTCUSDT"))
    symbol_find("BTCUSDT")
    live.delay_s = 1.5

    def timed() -> float:
        began_s = time.monotonic()
        assert symbols_ready() is Origin.TABLE
        return time.monotonic() - began_s

    *others, longest = sorted(in_threads(timed))
    assert longest >= 1.5
    assert others[-1] < 1
    assert live.asked == ["/fapi/v1/exchangeInfo", "/fapi/v1/ticker/24hr"]


@pytest.mark.usefixtures("unreachable")
def test_while_nothing_was_ever_listed_a_short_list_stands_in() -> None:
    assert symbols_origin() is Origin.BUILTIN
    assert symbol_find("BTCUSDT").tick_size == Decimal("0.1")
    with pytest.raises(SymbolNotFound, match=r"Did you mean: BTCUSDT, ETHUSDT, BNBUSDT\?"):
        symbol_find("NOPEUSDT")
    assert len(symbols_active()) == 28
    # What was listed once is the truth, however little that is.
    InstrumentRow.objects.create(symbol="MINEUSDT", last_seen_ms=1)
    assert symbols_origin() is Origin.TABLE
    assert [instrument.symbol for instrument in symbols_active()] == ["MINEUSDT"]
    assert symbol_known("BTCUSDT") is None


@pytest.mark.parametrize("feed", ["none", "sample"])
def test_a_feed_that_collects_nothing_knows_what_the_table_holds(live: Exchange, settings: Any, feed: str) -> None:
    settings.LIQUI_FEED = feed
    assert symbols_origin() is Origin.NONE
    with pytest.raises(SymbolNotFound, match=r"\ASymbol BTCUSDT not found\Z"):
        symbol_find("BTCUSDT")
    assert symbols_active() == []
    assert not live.asked


def test_the_built_in_steps_are_those_that_were_recorded(recordings: Path) -> None:
    info = json.loads(gzip.decompress((recordings / "exchangeinfo_2025-11-26.json.gz").read_bytes()))
    steps = {
        row["symbol"]: [Decimal(kind.get("tickSize") or kind["stepSize"]) for kind in row["filters"][:2]]
        for row in info["symbols"]
    }
    assert len(BUILTIN) == 28
    for symbol, instrument in BUILTIN.items():
        assert [instrument.tick_size, instrument.lot_size] == steps[symbol]
        assert (instrument.symbol, instrument.is_swap, instrument.is_active) == (symbol, True, True)


def test_the_most_traded_come_first_and_those_without_a_volume_last_by_name() -> None:
    now_ms = clock_ms()
    for symbol, volume, age_ms in (
        ("CUSDT", "5", 0),
        ("BUSDT", None, 0),
        ("AUSDT", "7", 0),
        ("DUSDT", "0", 0),
        ("EUSDT", "9", VOLUME_LIFE_MS + 60_000),
    ):
        InstrumentRow.objects.create(symbol=symbol, volume_24h=volume, volume_at_ms=now_ms - age_ms, last_price="2")
    InstrumentRow.objects.create(
        symbol="OFFUSDT", volume_24h="99", volume_at_ms=now_ms, is_active=False, last_seen_ms=1
    )
    traded = symbols_traded()
    assert [each.instrument.symbol for each in traded] == ["AUSDT", "CUSDT", "BUSDT", "DUSDT", "EUSDT"]
    assert [each.volume_24h for each in traded] == [7, 5, None, 0, None]


def test_of_a_name_that_several_venues_have_the_first_one_counts() -> None:
    InstrumentRow.objects.create(symbol="BTCUSDT", exchange="binance", tick_size="0.1", last_seen_ms=1)
    InstrumentRow.objects.create(symbol="BTCUSDT", exchange="bybit", tick_size="0.5")
    InstrumentRow.objects.create(symbol="ETHUSDT", exchange="bybit")
    assert [(each.symbol, each.venue) for each in symbols_active()] == [("BTCUSDT", "binance"), ("ETHUSDT", "bybit")]
    assert symbol_find("BTCUSDT").venue == "binance"
    assert symbol_suggestions("BTC") == ["BTCUSDT"]


@pytest.mark.parametrize(
    ("symbol", "assets"),
    [
        ("BTCUSDT", ("BTC", "USDT")),
        ("1000PEPEUSDC", ("1000PEPE", "USDC")),
        ("BTCUSDT_251226", ("BTC", "USDT")),
        ("BTCFDUSD", ("BTC", "FDUSD")),
        ("ETHBTC", ("ETH", "BTC")),
        ("币安人生USDT", ("币安人生", "USDT")),
        ("USDT", ("", "")),
        ("AAPL", ("", "")),
        ("", ("", "")),
    ],
)
def test_names_tell_the_assets(symbol: str, assets: tuple[str, str]) -> None:
    assert assets_guessed(symbol) == assets


def test_a_symbol_whose_assets_are_not_known_is_shown_by_its_name() -> None:
    InstrumentRow.objects.create(symbol="AAPL", exchange="nasdaq")
    instrument = symbol_find("AAPL")
    assert (instrument.ui_name, instrument.exchange_form) == ("AAPL", "AAPL")


def test_rows_of_the_users_own_stand_beside_the_built_in_ones_until_the_venue_is_asked(
    live: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    InstrumentRow.objects.create(symbol="NEWUSDT", exchange="binance")
    InstrumentRow.objects.create(symbol="ETHUSDT", exchange="binance", is_active=False)
    live.status = 503
    assert symbols_origin() is Origin.BUILTIN
    assert symbol_find("BTCUSDT").symbol == "BTCUSDT"
    assert symbol_find("NEWUSDT").is_swap
    names = [instrument.symbol for instrument in symbols_active()]
    assert "NEWUSDT" in names
    assert "ETHUSDT" not in names
    assert len(names) == len(BUILTIN)
    stats = symbols_stats()
    assert (stats["symbol_count"], stats["enabled_count"]) == (len(BUILTIN) + 1, len(BUILTIN))
    monkeypatch.setattr(service, "RETRY_S", 0.0)
    live.status = 200
    live.lists(listed("BTCUSDT"))
    assert sorted(instrument.symbol for instrument in symbols_active()) == ["BTCUSDT", "NEWUSDT"]


def test_what_was_forgotten_is_asked_for_again(live: Exchange) -> None:
    live.status = 503
    assert symbols_origin() is Origin.BUILTIN
    symbols_reset()
    live.status = 200
    live.lists(listed("BTCUSDT"))
    assert symbols_origin() is Origin.TABLE
