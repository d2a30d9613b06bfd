"""The table of instruments: brought to what the venue lists, looked up, and written to by hand."""

import gzip
import io
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.core.management import CommandError, call_command
from django.db import connection

from marketdata.errors import FeedMismatch, VenueBlocked
from marketdata.instruments import instrument_find, symbol_not_found, symbol_suggestions
from marketdata.models import InstrumentRow
from marketdata.services import SyncResult, instruments_sync
from marketdata.tasks import sync_instruments
from tests.marketdata.conftest import Exchange, listed
from tools.servers import free_port

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def listing(exchange: Exchange, settings: Any) -> Exchange:
    """The exchange that the settings name."""
    settings.BINANCE_API_BASE_URL = exchange.url
    return exchange


def stored() -> dict[str, tuple[str, bool]]:
    return {row.symbol: (row.status, row.is_active) for row in InstrumentRow.objects.all()}


def test_a_sync_stores_what_is_listed_and_may_run_twice(listing: Exchange) -> None:
    listing.lists(listed("BTCUSDT"), listed("币安人生USDT", status="SETTLING"))
    assert instruments_sync() == SyncResult(listed=2, added=2, changed=0, delisted=0)
    first = InstrumentRow.objects.get(symbol="BTCUSDT")
    assert instruments_sync() == SyncResult(listed=2, added=0, changed=0, delisted=0)
    assert stored() == {"BTCUSDT": ("TRADING", True), "币安人生USDT": ("SETTLING", False)}
    again = InstrumentRow.objects.get(symbol="BTCUSDT")
    assert (again.id, again.first_seen_ms) == (first.id, first.first_seen_ms)
    assert (again.last_seen_ms or 0) >= (first.last_seen_ms or 0) > 1_700_000_000_000


def test_a_change_is_taken_over(listing: Exchange) -> None:
    listing.lists(listed("BTCUSDT", tick="0.10"))
    instruments_sync()
    listing.lists(listed("BTCUSDT", tick="0.0000001"))
    assert instruments_sync().changed == 1
    row = InstrumentRow.objects.get()
    assert row.tick_size == Decimal("0.0000001")
    assert str(row.to_instrument().tick_size) == "1E-7"


def test_a_delisted_symbol_stays_and_is_inactive_until_it_is_listed_again(listing: Exchange) -> None:
    listing.lists(listed("BTCUSDT"), listed("LUNAUSDT"))
    instruments_sync()
    listing.lists(listed("BTCUSDT"))
    assert instruments_sync() == SyncResult(listed=1, added=0, changed=0, delisted=1)
    assert stored()["LUNAUSDT"] == ("DELISTED", False)
    assert instruments_sync().delisted == 0
    listing.lists(listed("BTCUSDT"), listed("LUNAUSDT"))
    assert instruments_sync() == SyncResult(listed=2, added=0, changed=1, delisted=0)
    assert stored()["LUNAUSDT"] == ("TRADING", True)


def test_what_a_user_switched_off_stays_off(listing: Exchange) -> None:
    listing.lists(listed("BTCUSDT"), listed("ETHUSDT"))
    instruments_sync()
    InstrumentRow.objects.filter(symbol="ETHUSDT").update(is_active=False)
    instruments_sync()
    assert stored() == {"BTCUSDT": ("TRADING", True), "ETHUSDT": ("TRADING", False)}


@pytest.mark.parametrize("is_active", [True, False])
def test_a_plain_insert_is_enough_and_a_sync_fills_in_the_rest(listing: Exchange, is_active: bool) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO symbols (symbol, exchange, asset_type, is_active) VALUES (%s, %s, %s, %s)",
            ["BTCUSDT", "binance", "CRYPTO", is_active],
        )
    instrument = instrument_find("BTCUSDT")
    assert instrument is not None
    assert (instrument.is_active, instrument.base_asset, instrument.tick_size) == (is_active, "", None)
    listing.lists(listed("BTCUSDT"))
    assert instruments_sync() == SyncResult(listed=1, added=0, changed=1, delisted=0)
    row = InstrumentRow.objects.get()
    assert (row.base_asset, row.status, row.is_active) == ("BTC", "TRADING", is_active)


def test_other_exchanges_are_left_alone(listing: Exchange) -> None:
    InstrumentRow.objects.create(symbol="BTCUSDT", exchange="bybit", is_active=True)
    listing.lists(listed("BTCUSDT"))
    assert instruments_sync().added == 1
    assert sorted(InstrumentRow.objects.values_list("exchange", "is_active")) == [("binance", True), ("bybit", True)]


def test_a_symbol_is_found_by_its_exact_name(listing: Exchange) -> None:
    listing.lists(listed("BTCUSDT"), listed("币安人生USDT"))
    instruments_sync()
    found = instrument_find("BTCUSDT")
    assert found is not None
    assert (found.base_asset, found.ui_name, found.exchange_form) == ("BTC", "BTC/USDT", "BTC/USDT:USDT")
    assert (found.tick_size, found.lot_size) == (Decimal("0.1"), Decimal("0.001"))
    assert instrument_find("币安人生USDT") is not None
    for text in ("btcusdt", "BTCUSDT ", "BTC", ""):
        assert instrument_find(text) is None


@pytest.mark.contract("D126")
def test_active_symbols_are_suggested_in_market_order(listing: Exchange) -> None:
    listing.lists(listed("ZECUSDT"), listed("BTCUSDT"), listed("BTCDOMUSDT", status="SETTLING"), listed("ETHUSDT"))
    instruments_sync()
    assert symbol_suggestions("btcusd") == ["BTCUSDT"]
    assert symbol_not_found("DOGEUSDT") == "Symbol DOGEUSDT not found. Did you mean: ZECUSDT, BTCUSDT, ETHUSDT?"
    assert symbol_not_found("NOPE") == "Symbol NOPE not found"


@pytest.mark.parametrize(
    ("name", "listed_count", "active"), [("2021-07-22", 122, 121), ("2025-11-26", 647, 552 + 2 + 1)]
)
def test_recorded_lists_are_stored_exactly(
    listing: Exchange, recordings: Path, name: str, listed_count: int, active: int
) -> None:
    listing.body = gzip.decompress((recordings / f"exchangeinfo_{name}.json.gz").read_bytes())
    assert instruments_sync() == SyncResult(listed=listed_count, added=listed_count, changed=0, delisted=0)
    assert instruments_sync() == SyncResult(listed=listed_count, added=0, changed=0, delisted=0)
    assert InstrumentRow.objects.filter(is_active=True).count() == active


def test_one_recorded_list_follows_the_other(listing: Exchange, recordings: Path) -> None:
    names = ("exchangeinfo_2021-07-22.json.gz", "exchangeinfo_2025-11-26.json.gz")
    results = []
    for name in names:
        listing.body = gzip.decompress((recordings / name).read_bytes())
        results.append(instruments_sync())
    assert results[1].added == 647 - (122 - results[1].delisted)
    assert InstrumentRow.objects.count() == 122 + results[1].added
    assert not InstrumentRow.objects.filter(status="DELISTED", is_active=True).exists()


def test_a_simulated_exchange_never_fills_the_database_of_real_data(listing: Exchange, settings: Any) -> None:
    listing.lists(listed("BTCUSDT"))
    listing.headers = {"X-Liqui-Simulated": "1"}
    for feed in ("none", "live"):
        settings.LIQUI_FEED = feed
        with pytest.raises(FeedMismatch, match="is a simulated exchange"):
            instruments_sync()
    assert not stored()
    settings.LIQUI_FEED = "simulated"
    assert instruments_sync().added == 1


def run() -> str:
    out = io.StringIO()
    call_command("sync_instruments", stdout=out)
    return out.getvalue()


def test_the_command_says_what_it_asks_and_what_changed(listing: Exchange) -> None:
    listing.lists(listed("BTCUSDT"), listed("ETHUSDT"))
    assert run() == (f"Asking {listing.url}\n2 instruments listed: 2 new, 0 changed, 0 not listed any more\n")


def test_the_command_ends_with_the_reason_in_one_line(listing: Exchange, settings: Any) -> None:
    listing.status = 451
    with pytest.raises(CommandError, match="answered 451: it does not serve this country") as caught:
        run()
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value.__cause__, VenueBlocked)
    settings.BINANCE_API_BASE_URL = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(CommandError, match="connection refused"):
        run()
    assert not stored()


def test_the_task_has_the_name_that_a_second_shell_calls_and_may_run_twice(listing: Exchange) -> None:
    assert "marketdata.sync_instruments" in current_app.tasks
    listing.lists(listed("BTCUSDT"))
    for _ in range(2):
        sync_instruments.apply(throw=True)
        assert stored() == {"BTCUSDT": ("TRADING", True)}


def test_a_venue_that_is_away_ends_the_task_in_one_line(listing: Exchange, caplog: pytest.LogCaptureFixture) -> None:
    listing.status = 503
    assert sync_instruments.apply(throw=True).successful()
    assert [record.exc_info for record in caplog.records if record.levelname == "ERROR"] == [None]
