"""The benchmark's table: the same for the same seed, and shaped like a venue's year."""

import numpy as np

from benchmarks.market import DAY_MS, END_MS, TOP_SYMBOL, Orders, orders_generate, repeated
from benchmarks.table import rows_of


def test_the_same_seed_gives_the_same_orders_and_another_gives_others() -> None:
    first, again, other = (orders_generate(1000, seed=seed) for seed in (7, 7, 8))

    assert rows_listed(first) == rows_listed(again)
    assert rows_listed(first) != rows_listed(other)


def test_orders_come_by_time_and_within_the_days_before_the_end() -> None:
    time_ms = orders_generate(1000, days=30).time_ms

    assert np.all(np.diff(time_ms) >= 0)
    assert time_ms[0] >= END_MS - 30 * DAY_MS
    assert time_ms[-1] < END_MS


def test_no_order_is_there_twice() -> None:
    # So many in one day that the draw repeats itself.
    assert len(repeated(orders_generate(300_000, days=1, symbols=1))) == 0


def test_symbols_differ_and_the_first_has_about_an_eighth_of_the_orders() -> None:
    orders = orders_generate(100_000)

    assert len(set(orders.market.symbols)) == 300
    assert orders.market.symbols[0] == TOP_SYMBOL
    assert 0.10 < np.mean(orders.symbol == 0) < 0.14


def test_what_is_filled_is_no_more_than_was_ordered_and_never_nothing() -> None:
    orders = orders_generate(10_000)

    assert np.all((orders.last_filled > 0) & (orders.last_filled <= orders.filled))
    assert np.all(orders.filled <= orders.quantity)
    assert np.all((orders.price > 0) & (orders.average_price > 0))


def rows_listed(orders: Orders) -> list[object]:
    return [row for rows in rows_of(orders, orders.market.symbols) for row in rows]
