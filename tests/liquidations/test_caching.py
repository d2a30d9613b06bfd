"""How the liquidation API's answers are cached: for how long, and what makes them outdated."""

import time
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from cachemgmt.registry import Namespace
from cachemgmt.stores import store
from cachemgmt.types import ALWAYS, Key
from liquidations.bars import bars_build
from liquidations.caching import BUCKETS, ORDERS, SYMBOLS, symbol_scope, window_ttl_s
from liquidations.services import orders_write
from liquidations.verifying import bars_verify
from tests.cachemgmt.kept import is_valid, keep
from tests.factories import DAY, HOUR, MINUTE, T0, order

WINDOW = {"symbol": "btcusdt", "start_timestamp": str(T0), "end_timestamp": str(T0 + HOUR)}
BUCKET_WINDOW = {**WINDOW, "timeframe": "60m"}


def key(namespace: Namespace, **query: str) -> Key:
    return namespace.key(namespace.parameters.validated(query))


@pytest.mark.parametrize(
    ("namespace", "query", "text"),
    [
        (BUCKETS, BUCKET_WINDOW, f"liq:BTCUSDT:1h:{T0}:{T0 + HOUR}"),
        (
            BUCKETS,
            {**BUCKET_WINDOW, "fill": "zero", "numbers": "string"},
            f"liq:BTCUSDT:1h:{T0}:{T0 + HOUR}:zero:string",
        ),
        (BUCKETS, {**BUCKET_WINDOW, "anchor": "epoch"}, f"liq:BTCUSDT:1h:{T0}:{T0 + HOUR}"),
        (BUCKETS, {**BUCKET_WINDOW, "timeframe": "7h", "anchor": "epoch"}, f"liq:BTCUSDT:7h:{T0}:{T0 + HOUR}:epoch"),
        (ORDERS, WINDOW, f"orders:BTCUSDT:{T0}:{T0 + HOUR}:page:1:size:100"),
        (ORDERS, {"symbol": "BTCUSDT", "limit": "50", "page": "3"}, "orders:BTCUSDT:latest:50"),
        (SYMBOLS, {}, "symbols:all"),
    ],
)
def test_keys_are_readable_and_as_the_contract_has_them(namespace: Namespace, query: dict[str, str], text: str) -> None:
    assert key(namespace, **query).text == text


def test_an_answer_depends_on_its_window_and_the_newest_orders_on_all_times() -> None:
    assert (key(BUCKETS, **BUCKET_WINDOW).first_ms, key(BUCKETS, **BUCKET_WINDOW).last_ms) == (T0, T0 + HOUR)
    assert (key(ORDERS, **WINDOW).first_ms, key(ORDERS, **WINDOW).last_ms) == (T0, T0 + HOUR)
    newest = key(ORDERS, symbol="BTCUSDT", limit="50")
    assert (newest.first_ms, newest.last_ms) == ALWAYS
    assert newest.scope == key(BUCKETS, **BUCKET_WINDOW).scope == symbol_scope(" btcusdt ")


@pytest.mark.parametrize(
    ("age_s", "reread_s", "ttl_s"),
    [
        (-3600, 3600, 5),
        (0, 3600, 5),
        (9, 3600, 5),
        (11, 3600, 300),
        (3500, 3600, 300),
        (3700, 3600, 86_400),
        (3700, 300, 86_400),
        # As long as other programs may insert late, bars wait, and so do long lives.
        (3700, 7200, 300),
        (7300, 7200, 86_400),
    ],
)
def test_the_time_to_live_follows_the_age_of_the_windows_end(
    settings: Any, monkeypatch: pytest.MonkeyPatch, age_s: int, reread_s: int, ttl_s: int
) -> None:
    settings.BARS_REREAD_SECONDS = reread_s
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    end_ms = (1_800_000_000 - age_s) * 1000
    assert window_ttl_s({"start_ms": end_ms - HOUR, "end_ms": end_ms}) == ttl_s


def test_the_newest_orders_live_as_long_as_windows_that_touch_the_present(settings: Any) -> None:
    settings.CACHE_TTL_RECENT_SECONDS = 7
    assert window_ttl_s({"limit": 50}) == 7
    assert ORDERS.ttl_s is BUCKETS.ttl_s is window_ttl_s


def test_times_to_live_follow_the_settings(settings: Any) -> None:
    closed = {"start_ms": T0, "end_ms": T0 + DAY}
    settings.CACHE_TTL_SECONDS = 2
    assert (window_ttl_s({"limit": 50}), window_ttl_s(closed)) == (2, 86_400)
    settings.CACHE_TTL_SECONDS = 100_000
    assert window_ttl_s(closed) == 100_000
    settings.CACHE_TTL_SECONDS = 0
    assert (window_ttl_s({"limit": 50}), window_ttl_s(closed)) == (0, 0)
    settings.CACHE_TTL_SYMBOLS = 17
    assert SYMBOLS.ttl_s({}) == 17


@pytest.fixture
def kept(transactional_db: None) -> dict[str, Key]:
    """Answers that are valid now."""
    keys = {
        "hour": key(BUCKETS, **BUCKET_WINDOW),
        "next hour": key(
            ORDERS, symbol="BTCUSDT", start_timestamp=str(T0 + 2 * HOUR), end_timestamp=str(T0 + 3 * HOUR)
        ),
        "newest": key(ORDERS, symbol="BTCUSDT", limit="50"),
        "other symbol": key(BUCKETS, **{**BUCKET_WINDOW, "symbol": "ETHUSDT"}),
        "symbols": key(SYMBOLS),
    }
    for each in keys.values():
        keep(store(), each)
    return keys


def valid(kept: dict[str, Key]) -> set[str]:
    return {name for name, each in kept.items() if is_valid(store(), each)}


@pytest.mark.usefixtures("committed")
def test_a_write_outdates_what_shows_its_orders(kept: dict[str, Key]) -> None:
    orders_write([order(at=T0 + HOUR)])
    # The first order of a symbol that this process writes may be the first of all.
    assert valid(kept) == {"next hour", "other symbol"}
    keep(store(), kept["symbols"])
    orders_write([order(at=T0 + 2 * HOUR, symbol=" btcusdt")])
    assert valid(kept) == {"other symbol", "symbols"}


@pytest.mark.usefixtures("committed")
def test_a_write_of_what_is_known_outdates_nothing_and_a_completed_order_does(kept: dict[str, Key]) -> None:
    orders_write([order(average_price=None)])
    for each in kept.values():
        keep(store(), each)
    orders_write([order(average_price=None)])
    assert valid(kept) == set(kept)
    orders_write([order()])
    assert valid(kept) == {"next hour", "other symbol", "symbols"}


@pytest.mark.usefixtures("committed")
def test_a_write_that_is_rolled_back_outdates_nothing_and_announces_no_symbol(kept: dict[str, Key]) -> None:
    with pytest.raises(ValueError, match="back"), transaction.atomic():  # noqa: PT012
        orders_write([order(symbol="NEWUSDT"), order()])
        raise ValueError("back")
    assert valid(kept) == set(kept)
    orders_write([order(symbol="NEWUSDT")])
    assert "symbols" not in valid(kept)


@pytest.mark.usefixtures("committed")
def test_a_batch_over_more_minutes_than_are_remembered_outdates_the_symbol_whole(kept: dict[str, Key]) -> None:
    orders_write([order(at=T0 + 10 * DAY + number * MINUTE) for number in range(100)])
    assert valid(kept) == {"other symbol"}


@pytest.mark.usefixtures("committed")
def test_turned_off_writes_tell_the_store_nothing(kept: dict[str, Key], uncached: None) -> None:
    orders_write([order()])
    assert valid(kept) == set(kept)


@pytest.mark.usefixtures("committed")
def test_bars_that_are_repaired_outdate_the_answers_made_with_them(kept: dict[str, Key]) -> None:
    orders_write([order()])
    bars_build()
    for each in kept.values():
        keep(store(), each)
    # As another program would, past our writers.
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {settings.DB_LIQ_TABLENAME} SET average_price = 1")
    assert list(bars_verify(None, 0, T0 + DAY, repair=False))
    assert valid(kept) == set(kept)
    assert list(bars_verify(None, 0, T0 + DAY, repair=True))
    assert valid(kept) == {"other symbol", "symbols"}


@pytest.mark.usefixtures("committed")
@pytest.mark.parametrize(("symbol", "left"), [("btcusdt", {"other symbol", "symbols"}), (None, set())])
def test_a_rebuild_outdates_what_was_asked_for(kept: dict[str, Key], symbol: str | None, left: set[str]) -> None:
    call_command("liquidation_bars", "rebuild", symbol=symbol, stdout=StringIO(), stderr=StringIO())
    assert valid(kept) == left
