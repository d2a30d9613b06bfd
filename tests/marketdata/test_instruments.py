"""The table of instruments: brought to what the venue lists, looked up, and written to by hand."""

import gzip
import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from celery import current_app
from django.core.management import CommandError, call_command
from django.db import connection

from marketdata.errors import FeedMismatch, SymbolNotFound, VenueBlocked, VenueUnavailable
from marketdata.instruments import instrument_find, instruments_rows
from marketdata.models import InstrumentRow
from marketdata.services import SyncResult, instruments_store, instruments_switch, instruments_sync, tickers_sync
from marketdata.symbols.service import symbol_find, symbol_suggestions
from marketdata.tasks import sync_instruments, sync_tickers
from marketdata.venue import venue
from tests.backend import sqlite_only
from tests.live import ROOT, server_environment
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


@pytest.mark.parametrize("while_off", ["BREAK", "SETTLING", None])
def test_what_a_user_switched_off_stays_off_whatever_the_venue_does_meanwhile(
    listing: Exchange, while_off: str | None
) -> None:
    """None: it is not even listed for a while."""
    others = [listed("BTCUSDT")]
    listing.lists(*others, listed("ETHUSDT"))
    instruments_sync()
    InstrumentRow.objects.filter(symbol="ETHUSDT").update(is_active=False)
    listing.lists(*others, *([listed("ETHUSDT", status=while_off)] if while_off else []))
    instruments_sync()
    instruments_sync()
    listing.lists(*others, listed("ETHUSDT"))
    instruments_sync()
    assert stored()["ETHUSDT"] == ("TRADING", False)
    InstrumentRow.objects.filter(symbol="ETHUSDT").update(is_active=True)
    listing.lists(*others, listed("ETHUSDT", status="BREAK"))
    instruments_sync()
    listing.lists(*others, listed("ETHUSDT"))
    instruments_sync()
    assert stored()["ETHUSDT"] == ("TRADING", True)


def test_a_row_of_the_users_own_is_not_delisted_by_a_venue_that_never_listed_it(listing: Exchange) -> None:
    InstrumentRow.objects.create(symbol="OWNUSDT")
    listing.lists(listed("BTCUSDT"))
    assert instruments_sync() == SyncResult(listed=1, added=1, changed=0, delisted=0)
    assert stored()["OWNUSDT"] == ("", True)


@pytest.mark.parametrize("is_active", [True, False])
def test_a_plain_insert_is_enough_and_a_sync_fills_in_the_rest(listing: Exchange, is_active: bool) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO symbols (symbol, exchange, asset_type, is_active) VALUES (%s, %s, %s, %s)",
            ["BTCUSDT", "binance", "CRYPTO", is_active],
        )
    instrument = instrument_find("BTCUSDT")
    assert instrument is not None
    assert (instrument.is_active, instrument.tick_size, instrument.price_precision) == (is_active, None, None)
    # What the venue has not said yet the name says.
    assert (instrument.exchange_form, instrument.is_swap) == ("BTC/USDT:USDT", True)
    listing.lists(listed("BTCUSDT"))
    assert instruments_sync() == SyncResult(listed=1, added=0, changed=1, delisted=0)
    row = InstrumentRow.objects.get()
    assert (row.base_asset, row.status, row.is_active) == ("BTC", "TRADING", is_active)
    assert (row.exchange_form, row.price_precision, row.quantity_precision) == ("BTC/USDT:USDT", 1, 3)


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


@sqlite_only("a server refuses what is no number")
@pytest.mark.parametrize("text", ["", "a lot", "1,5"])
def test_a_row_that_cannot_be_read_hides_no_other_one(listing: Exchange, text: str) -> None:
    listing.lists(listed("BTCUSDT"), listed("ETHUSDT"), listed("SOLUSDT"))
    instruments_sync()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE symbols SET tick_size = %s WHERE symbol = 'ETHUSDT'", [text])
    assert [row.symbol for row in instruments_rows()] == ["BTCUSDT", "SOLUSDT"]
    assert (instrument_find("ETHUSDT"), instrument_find("SOLUSDT") is not None) == (None, True)
    # The venue's word mends it.
    instruments_sync()
    assert [row.symbol for row in instruments_rows()] == ["BTCUSDT", "ETHUSDT", "SOLUSDT"]


@pytest.mark.contract("D126")
def test_active_symbols_are_suggested_in_market_order(listing: Exchange) -> None:
    listing.lists(listed("ZECUSDT"), listed("BTCUSDT"), listed("BTCDOMUSDT", status="SETTLING"), listed("ETHUSDT"))
    instruments_sync()
    assert symbol_suggestions("btcusd") == ["BTCUSDT"]
    for text, message in (
        ("DOGEUSDT", "Symbol DOGEUSDT not found. Did you mean: ZECUSDT, BTCUSDT, ETHUSDT?"),
        ("NOPE", "Symbol NOPE not found"),
    ):
        with pytest.raises(SymbolNotFound) as error:
            symbol_find(text)
        assert str(error.value) == message


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


@pytest.mark.contract("D075")
@pytest.mark.parametrize(
    ("tick", "precision"),
    [("0.25", 2), ("1", 0), ("1.0", 0), ("10", 0), ("0.10", 1), ("0.0000001", 7), ("0.05", 2), ("0", None)],
)
def test_precision_comes_from_the_price_step_itself(listing: Exchange, tick: str, precision: int | None) -> None:
    listing.lists(listed("BTCUSDT", tick=tick, pricePrecision=5))
    instruments_sync()
    assert InstrumentRow.objects.get().price_precision == precision


@pytest.mark.parametrize("name", ["2021-07-22", "2025-11-26"])
def test_recorded_lists_of_any_year_have_precisions_that_show_every_price(
    listing: Exchange, recordings: Path, name: str
) -> None:
    listing.body = gzip.decompress((recordings / f"exchangeinfo_{name}.json.gz").read_bytes())
    instruments_sync()
    stepless = set()
    for row in InstrumentRow.objects.all():
        if row.tick_size is None:
            stepless.add(row.symbol)
            assert row.price_precision is None
            continue
        scaled = row.tick_size.scaleb(row.price_precision)
        # Enough digits for each step, and not one more.
        assert scaled == int(scaled)
        assert row.price_precision == 0 or row.tick_size.scaleb(row.price_precision - 1) % 1
        assert row.exchange_form.startswith(f"{row.base_asset}/{row.quote_asset}:{row.quote_asset}")
    listed_count = InstrumentRow.objects.count()
    assert len(stepless) < listed_count / 10
    perpetual = [row.to_instrument() for row in InstrumentRow.objects.filter(contract_type__endswith="PERPETUAL")]
    assert all(instrument.is_swap for instrument in perpetual)
    dated = [row.to_instrument() for row in InstrumentRow.objects.filter(symbol__contains="_")]
    assert dated
    assert not any(instrument.is_swap for instrument in dated)


def test_volumes_and_last_prices_are_written_to_the_instruments_that_are_known(
    listing: Exchange, settings: Any
) -> None:
    listing.lists(listed("BTCUSDT"), listed("ETHUSDT"))
    instruments_sync()
    InstrumentRow.objects.filter(symbol="ETHUSDT").update(is_active=False)
    settings.LIQUI_FEED = "live"
    listing.trades(BTCUSDT=("63943.90", "12590000000.5"), ETHUSDT=("1.5", "0"), NEWUSDT=("1", "1"))
    assert tickers_sync() == 2
    rows = {row.symbol: row for row in InstrumentRow.objects.all()}
    assert sorted(rows) == ["BTCUSDT", "ETHUSDT"]
    assert (rows["BTCUSDT"].last_price, rows["BTCUSDT"].volume_24h) == (Decimal("63943.90"), Decimal("12590000000.5"))
    # All else is as it was.
    assert (rows["ETHUSDT"].is_active, rows["ETHUSDT"].status, rows["ETHUSDT"].base_asset) == (False, "TRADING", "ETH")
    assert rows["BTCUSDT"].volume_at_ms
    instruments_sync()
    assert InstrumentRow.objects.get(symbol="BTCUSDT").volume_24h == Decimal("12590000000.5")


def test_a_sync_of_a_feed_that_collects_brings_volumes_and_does_without_them(listing: Exchange, settings: Any) -> None:
    settings.LIQUI_FEED = "live"
    listing.lists(listed("BTCUSDT"))
    listing.bodies["/fapi/v1/ticker/24hr"] = b"no"
    assert instruments_sync().added == 1
    assert InstrumentRow.objects.get().volume_24h is None
    listing.trades(BTCUSDT=("63943.90", "5"))
    instruments_sync()
    assert InstrumentRow.objects.get().volume_24h == 5


def test_the_largest_numbers_that_the_venue_may_send_fit(listing: Exchange, settings: Any) -> None:
    listing.lists(listed("BTCUSDT"))
    settings.LIQUI_FEED = "live"
    number = "9" * 25 + "." + "1" * 18
    listing.trades(BTCUSDT=(number, number))
    instruments_sync()
    row = InstrumentRow.objects.get()
    assert row.last_price is not None
    assert abs(row.last_price / Decimal(number) - 1) < Decimal("1e-14")


def test_the_task_of_volumes_asks_only_for_feeds_that_collect(listing: Exchange, settings: Any) -> None:
    assert "marketdata.sync_tickers" in current_app.tasks
    sync_tickers.apply(throw=True)
    assert not listing.asked
    settings.LIQUI_FEED = "live"
    listing.lists(listed("BTCUSDT"))
    listing.trades(BTCUSDT=("1", "5"))
    instruments_sync()
    for _ in range(2):
        sync_tickers.apply(throw=True)
    assert InstrumentRow.objects.get().volume_24h == 5
    listing.status = 503
    assert sync_tickers.apply(throw=True).successful()
    with pytest.raises(VenueUnavailable):
        tickers_sync()


def test_switching_says_which_were_not_so_before() -> None:
    ids = [InstrumentRow.objects.create(symbol=name, is_active=on).pk for name, on in (("B", 1), ("A", 1), ("C", 0))]
    assert instruments_switch(ids, is_active=False) == ["A", "B"]
    assert instruments_switch(ids, is_active=False) == []
    assert instruments_switch(ids[:1], is_active=True) == ["B"]


@pytest.mark.django_db(transaction=True)
def test_several_who_sync_at_the_same_time_all_succeed(listing: Exchange, recordings: Path) -> None:
    """A collector, a web process and an operator, on a table that is empty yet."""
    listing.body = gzip.decompress((recordings / "exchangeinfo_2025-11-26.json.gz").read_bytes())
    instruments = venue().instruments()
    barrier = Barrier(4)

    def store(now_ms: int) -> int:
        try:
            barrier.wait()
            return sum(instruments_store("binance", instruments, now_ms + round).listed for round in range(5))
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(store, range(4))) == [5 * 647] * 4
    assert InstrumentRow.objects.count() == 647


@pytest.mark.django_db(transaction=True)
def test_volumes_may_be_written_while_instruments_are_listed(
    listing: Exchange, settings: Any, recordings: Path
) -> None:
    settings.LIQUI_FEED = "live"
    listing.body = gzip.decompress((recordings / "exchangeinfo_2025-11-26.json.gz").read_bytes())
    instruments = venue().instruments()
    instruments_store("binance", instruments, 0)
    # The venue lists its tickers in another order.
    listing.trades(**{each.symbol: ("1", "5") for each in reversed(instruments)})
    barrier = Barrier(4)

    def work(number: int) -> None:
        try:
            barrier.wait()
            for round in range(5):
                if number % 2:
                    tickers_sync()
                else:
                    instruments_store("binance", instruments, number + round)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    assert InstrumentRow.objects.filter(volume_24h=5).count() == 647


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


@sqlite_only("a database server is the user's to prepare")
def test_a_fresh_home_needs_nothing_before_the_command(listing: Exchange, tmp_path: Path) -> None:
    listing.lists(listed("BTCUSDT"))
    environment = server_environment(tmp_path) | {"FEED": "none", "BINANCE_API_BASE_URL": listing.url}
    command = [sys.executable, "manage.py", "sync_instruments"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "1 instruments listed: 1 new" in done.stdout


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
