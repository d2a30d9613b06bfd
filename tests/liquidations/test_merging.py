"""Orders merged by identity: symbol, side, trade time, original quantity and price, NULLs equal; on every table."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError, connection
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from liquidations import bars, merging
from liquidations.bars import bars_build
from liquidations.domain import DAY_MS
from liquidations.models import StaleBarDay
from liquidations.queries import liquidation_buckets, orders_latest, orders_page, symbols_listed
from liquidations.schema import COLUMNS
from liquidations.services import orders_write
from liquidations.table import table_profile
from liquidations.types import ForcedOrder, WriteResult
from liquidations.verifying import bars_verify
from tests.factories import T0, order
from tests.liquidations.law import assert_law
from tests.liquidations.outside import (
    LEGACY_INDEXES,
    MINIMAL,
    MYSQL,
    SQLITE,
    empty_database,
    execute,
    insert_raw,
    legacy_columns,
    outside_table,
    stored_orders,
    table_options,
)
from tests.liquidations.processes import at_once

KEYLESS = MINIMAL.format(decimal="DECIMAL(30,10)")
TABLES = {
    "ours": nullcontext,
    "the contract's, without any key": lambda: outside_table(KEYLESS),
    "the collector's with its indexes": lambda: outside_table(legacy_columns(), indexes=LEGACY_INDEXES),
    "a keyless one with further columns": lambda: outside_table(
        f"venue VARCHAR(10) DEFAULT 'binance', {KEYLESS}, seen_at BIGINT NULL"
    ),
    "a keyless one compared by bytes": lambda: outside_table(KEYLESS, table_options(collation="utf8mb4_bin")),
}


@pytest.fixture(params=TABLES.values(), ids=TABLES.keys())
def table(request: pytest.FixtureRequest, committed: None) -> Iterator[None]:
    """Each kind of table in turn."""
    with request.param():
        yield


def counts(result: WriteResult) -> tuple[int, int, int]:
    assert not result.rejected
    return result.inserted, result.completed, result.duplicates


# Identity ---------------------------------------------------------------------------------------------------------


def test_an_order_is_inserted_once_within_a_batch_across_batches_and_alone(table: None) -> None:
    assert counts(orders_write([order(), order(T0 + 1), order()])) == (2, 0, 1)
    assert counts(orders_write([order()])) == (0, 0, 1)
    assert counts(orders_write([order(T0 + 2)])) == (1, 0, 0)
    assert counts(orders_write([order(T0 + 3), order(T0 + 1)])) == (1, 0, 1)
    assert [row.order_trade_time for row in stored_orders()] == [T0, T0 + 1, T0 + 2, T0 + 3]


@pytest.mark.parametrize(
    "missing", [{"price": None}, {"quantity": None, "filled": 1}, {"price": None, "quantity": None, "filled": 1}]
)
def test_nulls_are_equal_in_an_identity(table: None, missing: dict[str, Any]) -> None:
    assert counts(orders_write([order(**missing), order(**missing), order()])) == (2, 0, 1)
    assert counts(orders_write([order(**missing)])) == (0, 0, 1)
    assert len(stored_orders()) == 2


@pytest.mark.parametrize(
    "other",
    [{"symbol": "ETHUSDT"}, {"side": "BUY"}, {"at": T0 + 1}, {"quantity": "0.6"}, {"price": "1"}, {"price": None}],
)
def test_whatever_differs_in_one_part_of_the_identity_is_another_order(table: None, other: dict[str, Any]) -> None:
    assert counts(orders_write([order(), order(**other)])) == (2, 0, 0)
    assert counts(orders_write([order(**other), order()])) == (0, 0, 2)


def test_what_is_not_in_the_identity_makes_no_other_order(table: None) -> None:
    orders_write([order()])
    assert counts(orders_write([order(last_filled=None), order(filled="0.1"), order(average_price="1")])) == (0, 0, 3)
    assert comparable(stored_orders()[0].average_price) == Decimal("42010.1")


def test_spelling_and_trailing_zeros_make_no_other_order(table: None) -> None:
    orders_write([order(symbol="币安人生USDT")])
    again = order(symbol=" 币安人生usdt ", side="sell", price="42000.5000", quantity="0.50", filled="0.5")
    assert counts(orders_write([again])) == (0, 0, 1)
    assert {(row.symbol, row.side) for row in stored_orders()} == {("币安人生USDT", "SELL")}


def test_an_empty_batch_is_nothing(table: None) -> None:
    assert counts(orders_write([])) == (0, 0, 0)


# Completing -------------------------------------------------------------------------------------------------------


def test_a_missing_average_price_is_filled_in_once_and_nothing_else_changes(table: None) -> None:
    orders_write([order(average_price=None), order(T0 + 1, average_price=None, price=None)])
    first = stored_orders()[0]
    assert counts(orders_write([order(average_price=None)])) == (0, 0, 1)
    assert counts(orders_write([order(average_price="7", last_filled="9"), order(T0 + 1, price=None)])) == (0, 2, 0)
    assert counts(orders_write([order(average_price="8")])) == (0, 0, 1)
    assert stored_orders()[0] == first._replace(average_price=7)


def test_a_completed_order_marks_its_day_as_stale(table: None, monkeypatch: pytest.MonkeyPatch) -> None:
    now_ms = T0 + 3 * DAY_MS
    monkeypatch.setattr(bars, "clock_ms", lambda: now_ms)
    orders_write([order(average_price=None), order(T0 + DAY_MS)])
    bars_build(now_ms)
    orders_write([order(), order(T0 + DAY_MS)])
    assert ("BTCUSDT", T0) in StaleBarDay.objects.values_list("symbol", "day_ms")
    assert_law("BTCUSDT", DAY_MS, T0, now_ms, "start")
    bars_build(now_ms)
    assert_law("BTCUSDT", DAY_MS, T0, now_ms, "start")


def test_an_order_completed_within_its_own_batch_has_the_price(table: None) -> None:
    result = orders_write([order(average_price=None), order(average_price="7"), order(average_price=None)])
    assert (result.inserted, result.completed + result.duplicates) == (1, 2)
    assert [row.average_price for row in stored_orders()] == [7]


# Any batches ------------------------------------------------------------------------------------------------------

small = st.sampled_from([None, Decimal("0"), Decimal("0.1"), Decimal("0.0000000001"), Decimal("12345678901.5")])
similar_orders = st.builds(
    lambda at, symbol, side, quantity, price, average_price: order(
        T0 + at, symbol, side, quantity=quantity, price=price, average_price=average_price, filled=1
    ),
    st.integers(0, 1),
    st.sampled_from(["A", "a", "币"]),
    st.sampled_from(["BUY", "sell"]),
    small,
    small,
    small,
)


def assert_merged(batches: Sequence[Sequence[ForcedOrder]]) -> None:
    """As a dictionary by identity would have it: first sighting stays, a missing average price is the first known."""
    expected: dict[Any, Any] = {}
    for batch in batches:
        result = orders_write(batch)
        new = {key_of(each) for each in batch} - expected.keys()
        assert result.inserted == len(new)
        assert result.inserted + result.completed + result.duplicates == len(batch)
        for each in batch:
            known = expected.setdefault(key_of(each), each.average_price)
            expected[key_of(each)] = each.average_price if known is None else known
    found = Counter((key_of(row), comparable(row.average_price)) for row in stored_orders())
    assert found == Counter((key, comparable(price)) for key, price in expected.items())


def key_of(each: ForcedOrder) -> tuple[Any, ...]:
    numbers = comparable(each.original_quantity), comparable(each.price)
    return each.symbol.upper(), each.side.upper(), each.order_trade_time, *numbers


def comparable(value: Any) -> Any:
    return None if value is None else Decimal(str(value)).normalize()


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(similar_orders, max_size=8), max_size=4))
def test_any_batches_are_merged_as_a_dictionary_would(table: None, batches: list[list[ForcedOrder]]) -> None:
    empty_database()
    assert_merged(batches)


# What the table cannot hold ---------------------------------------------------------------------------------------

UNHOLDABLE = {
    "symbol": (order(T0 + 1, symbol="X" * 21), "longer than 20"),
    "side": (order(T0 + 1, side="SELLS"), "longer than 4"),
    "digits": (order(T0 + 1, price="123456789012345678901"), "more digits than DECIMAL(30,10)"),
    "places": (order(T0 + 1, price="0.12345678901"), "more decimal places than DECIMAL(30,10)"),
    "not a number": (order(T0 + 1, price="NaN"), "is not a number"),
}


@MYSQL
@pytest.mark.parametrize(("bad", "reason"), UNHOLDABLE.values(), ids=UNHOLDABLE)
def test_what_the_table_would_cut_is_rejected_with_a_reason_and_the_rest_written(
    table: None, bad: ForcedOrder, reason: str
) -> None:
    result = orders_write([order(T0), bad, order(T0 + 2)])
    assert (result.inserted, [position for position, _ in result.rejected]) == (2, [1])
    assert reason in result.rejected[0][1]
    assert [row.order_trade_time for row in stored_orders()] == [T0, T0 + 2]


def test_a_time_beyond_64_bits_is_rejected(table: None) -> None:
    result = orders_write([order(T0), order(2**63)])
    assert (result.inserted, result.rejected) == (1, [(1, f"order_trade_time {2**63} is beyond 64 bits")])


@MYSQL
def test_zeros_beyond_the_scale_and_the_largest_number_lose_nothing(table: None) -> None:
    largest = Decimal("99999999999999999999.9999999999")
    result = orders_write(
        [order(price="0.100000000000000"), order(T0 + 1, price=largest), order(T0 + 2, price="0E-30")]
    )
    assert counts(result) == (3, 0, 0)
    assert [row.price for row in stored_orders()] == [Decimal("0.1"), largest, 0]


@pytest.mark.parametrize("positions", [[0], [6], [2, 3, 5], list(range(7))])
def test_rows_that_the_server_itself_refuses_are_found_by_halving(committed: None, positions: list[int]) -> None:
    with outside_table(f"{KEYLESS}, CHECK (price <> 13)"):
        batch = [order(T0 + n, price=13 if n in positions else 14) for n in range(7)]
        result = orders_write(batch)
        assert [position for position, _ in result.rejected] == positions
        assert all("CONSTRAINT" in reason or "constraint" in reason for _, reason in result.rejected)
        assert result.inserted == 7 - len(positions)
        assert [row.order_trade_time - T0 for row in stored_orders()] == sorted({*range(7)} - {*positions})


def test_a_refusal_on_our_own_table_keeps_the_rest_too(committed: None) -> None:
    with our_table_refusing_a_price_of_13():
        result = orders_write([order(T0), order(T0 + 1, price=13), order(T0 + 2), order(T0)])
    assert (result.inserted, result.duplicates, [position for position, _ in result.rejected]) == (2, 1, [1])
    assert [row.order_trade_time for row in stored_orders()] == [T0, T0 + 2]


@contextmanager
def our_table_refusing_a_price_of_13() -> Iterator[None]:
    if connection.vendor == "sqlite":
        add = (
            "CREATE TRIGGER unlucky BEFORE INSERT ON binance_liqs WHEN NEW.price = 13 "
            "BEGIN SELECT RAISE(ABORT, 'unlucky'); END"
        )
        remove = "DROP TRIGGER unlucky"
    else:
        add = "ALTER TABLE binance_liqs ADD CONSTRAINT unlucky CHECK (price <> 13)"
        remove = "ALTER TABLE binance_liqs DROP CONSTRAINT unlucky"
    execute(add)
    try:
        yield
    finally:
        execute(remove)


@pytest.mark.parametrize(
    "text", ["'", "\\", "\\'", '"', "%s", "%", "{}", "`", "--", "/*", ";", "\x00", "\n", "\x1a", "😀"]
)
def test_any_text_is_stored_as_it_is(table: None, text: str) -> None:
    """Some tables' rows are sent as literals: nothing in a value may end one."""
    odd = order(symbol=f"X{text}Y")._replace(order_type=f"a{text}", time_in_force=text, order_status=f"{text}z")
    for number in range(3):
        assert counts(orders_write([odd, order(T0 + number)])) == ((1, 0, 1) if number else (2, 0, 0))
    (row,) = stored_orders(symbol=odd.symbol.upper())
    assert (row.order_type, row.time_in_force, row.order_status) == (f"a{text}", text, f"{text}z")


@pytest.mark.parametrize(
    ("decimal", "value", "too_fine"),
    [
        ("DECIMAL(20,8)", "123456789012.12345678", "0.123456789"),
        ("DECIMAL(38,18)", "12345678901234567890.123456789012345678", "0.1234567890123456789"),
    ],
)
@MYSQL
def test_other_precisions_are_kept_to_the_last_digit(committed: None, decimal: str, value: str, too_fine: str) -> None:
    with outside_table(MINIMAL.format(decimal=decimal)):
        result = orders_write([order(price=value, quantity=value), order(T0 + 1, price=too_fine)])
        assert (result.inserted, len(result.rejected)) == (1, 1)
        assert decimal in result.rejected[0][1]
        assert counts(orders_write([order(price=value, quantity=value)])) == (0, 0, 1)
        assert stored_orders()[0].price == Decimal(value)


@MYSQL
@pytest.mark.parametrize("decimal", ["DECIMAL(20,8)", "DECIMAL(38,18)"])
def test_the_law_holds_to_the_last_digit_for_other_precisions(
    committed: None, monkeypatch: pytest.MonkeyPatch, decimal: str
) -> None:
    """18 + 18 decimal places are more than a bar's 30."""
    now_ms = T0 + 10 * DAY_MS
    monkeypatch.setattr(bars, "clock_ms", lambda: now_ms)
    with outside_table(MINIMAL.format(decimal=decimal)):
        places = int(decimal.rstrip(")").partition(",")[2])
        finest = Decimal(123456789).scaleb(-places)
        orders_write([order(T0 + n, average_price=finest, quantity=finest + n) for n in range(3)])
        bars_build(now_ms)
        for timeframe_ms in (DAY_MS, 3 * DAY_MS):
            assert_law("BTCUSDT", timeframe_ms, T0, now_ms, "start")
        assert list(bars_verify(None, 0, now_ms, repair=False)) == []


# Character sets and spellings -------------------------------------------------------------------------------------


@contextmanager
def latin1_table() -> Iterator[None]:
    with outside_table(KEYLESS, table_options("latin1")):
        yield


@MYSQL
def test_a_symbol_that_latin1_cannot_spell_is_rejected_on_write_and_absent_on_read(committed: None) -> None:
    with latin1_table():
        result = orders_write([order(), order(symbol="币安人生USDT")])
        assert result.rejected == [(1, "symbol '币安人生USDT' cannot be spelled in latin1")]
        assert result.inserted == 1
        assert liquidation_buckets("币安人生USDT", DAY_MS, T0, T0 + DAY_MS) == []
        assert orders_latest("币安人生USDT", 10) == []
        assert orders_page("币安人生USDT", T0, T0 + DAY_MS, 1, 10).rows == []
        assert symbols_listed() == ["BTCUSDT"]
        assert [opened for opened, _, _ in liquidation_buckets("BTCUSDT", DAY_MS, T0, T0 + DAY_MS)] == [T0]


@MYSQL
def test_bars_over_a_latin1_table_obey_the_law(committed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "clock_ms", lambda: T0 + 3 * DAY_MS)
    with latin1_table():
        insert_raw([order(), order(T0 + DAY_MS, "btcusdt", "sell")])
        bars_build(T0 + 3 * DAY_MS)
        orders_write([order(T0 + 1)])
        assert_law("BTCUSDT", DAY_MS, T0, T0 + 3 * DAY_MS, "start")


@MYSQL
def test_a_latin1_table_is_warned_of_with_the_sql_that_helps(committed: None) -> None:
    with latin1_table():
        (warning,) = table_profile().warnings()
        assert "latin1" in warning
        execute(warning[warning.index("ALTER TABLE") :].rstrip(";"))
        assert orders_write([order(symbol="币安人生USDT")]).rejected != []  # until what is known of it expires
    with outside_table(KEYLESS):
        assert table_profile().warnings() == []


@pytest.mark.parametrize("spelling", ["btcusdt", "BtcUsdt"])
def test_rows_that_others_spelled_otherwise_are_the_same_symbol(table: None, spelling: str) -> None:
    insert_raw([order(T0, spelling), order(T0 + 1)])
    assert orders_page("btcUSDT", T0, T0 + 1, 1, 10).rows[1][1:] == tuple(stored_orders()[0])[1:]
    assert len(orders_latest("BTCUSDT", 10)) == 2
    assert_law("BTCUSDT", DAY_MS, T0, T0 + DAY_MS, "start")
    assert [symbol.upper() for symbol in symbols_listed()] == ["BTCUSDT"]


@SQLITE
def test_indexes_with_any_name_and_partial_ones_do_no_harm(committed: None) -> None:
    with outside_table(f"{KEYLESS}, UNIQUE (symbol, order_trade_time, side, price)") as name:
        execute(f'CREATE INDEX "my-index" ON {name} (symbol, order_trade_time)')
        execute(f"CREATE INDEX partial ON {name} (symbol) WHERE average_price IS NOT NULL")
        execute(f"CREATE INDEX newest ON {name} (order_trade_time) WHERE side = 'SELL'")
        orders_write([order(), order(T0 + 1, average_price=None)])
        assert symbols_listed() == ["BTCUSDT"]
        assert_law("BTCUSDT", DAY_MS, T0, T0 + DAY_MS, "start")
        assert bars_build(T0 + 3 * DAY_MS) == 1


# Two writers at once ----------------------------------------------------------------------------------------------


def test_writers_of_the_same_orders_at_once_insert_each_once(table: None) -> None:
    batch = [order(T0 + number, average_price=None if number % 3 else "1") for number in range(150)]
    forwards = [batch[first : first + 50] for first in range(0, 150, 50)]
    backwards = [part[::-1] for part in forwards[::-1]]
    results: list[WriteResult] = []
    at_once(
        *[lambda parts=parts: results.extend(map(orders_write, parts)) for parts in (forwards, backwards, forwards)]
    )
    assert len(stored_orders()) == 150
    assert sum(result.inserted for result in results) == 150
    assert sum(result.duplicates for result in results) == 300


@MYSQL
def test_a_writer_that_loses_a_deadlock_tries_again(committed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = merging.merge, []

    def deadlocked_once(*arguments: Any) -> WriteResult:
        calls.append(arguments)
        if len(calls) == 1:
            raise OperationalError(1213, "Deadlock found when trying to get lock; try restarting transaction")
        return real(*arguments)

    monkeypatch.setattr("liquidations.services.merge", deadlocked_once)
    assert counts(orders_write([order()])) == (1, 0, 0)
    assert len(calls) == 2


@MYSQL
def test_writers_of_a_table_without_uniqueness_wait_for_each_other(committed: None) -> None:
    with outside_table(KEYLESS):
        execute("SELECT GET_LOCK(%s, 1)", [f"liqui.{settings.DB_LIQ_TABLENAME}"])
        results: list[WriteResult] = []
        thread = threading.Thread(target=lambda: (results.append(orders_write([order()])), connection.close()))
        thread.start()
        thread.join(0.5)
        assert thread.is_alive(), "it did not wait"
        execute("SELECT RELEASE_LOCK(%s)", [f"liqui.{settings.DB_LIQ_TABLENAME}"])
        thread.join(10)
        assert [result.inserted for result in results] == [1]


# Bounds -----------------------------------------------------------------------------------------------------------


def test_every_column_arrives_as_it_was_given(table: None) -> None:
    given_order = order(
        T0, "ETHUSDT", "BUY", price="1.5", average_price="1.25", quantity="3", last_filled="2", filled="2.5"
    )
    orders_write([given_order])
    assert dict(zip(COLUMNS, stored_orders()[0], strict=True)) == given_order._asdict()


def test_a_batch_larger_than_a_lookup_is_merged(table: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "LOOKUP_ROWS", 7)
    batch = [order(T0 + number) for number in range(30)]
    assert counts(orders_write(batch)) == (30, 0, 0)
    assert counts(orders_write(batch)) == (0, 0, 30)
