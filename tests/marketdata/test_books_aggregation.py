"""Books as terminals show them, against the contract's algorithm written out in decimals."""

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.books.aggregation import ShownLevel, aggregate
from marketdata.types import Level
from tests.marketdata.books import Written, book_of

ROUNDINGS = ["1E-7", "0.00001", "0.0001", "0.01", "0.1", "0.15", "0.25", "0.3", "1", "2.5", "10", "1000", "1E+9"]


def by_the_contract(levels: Iterable[Level], rounding: Decimal, *, is_ask: bool) -> list[ShownLevel]:
    """B.3.1, best first and without a limit."""
    sums: dict[Decimal, Decimal] = {}
    for price, amount in levels:
        whole = (price / rounding).to_integral_value(ROUND_CEILING if is_ask else ROUND_FLOOR)
        sums[whole * rounding] = sums.get(whole * rounding, Decimal(0)) + amount
    kept = [price for price, amount in sums.items() if price and amount > Decimal("1e-6")]
    shown, cumulative = [], Decimal(0)
    for price in sorted(kept, reverse=not is_ask):
        cumulative += sums[price]
        shown.append((float(price), float(sums[price]), float(cumulative)))
    return shown


def exact_multiples(digits: int, most: int) -> st.SearchStrategy[Decimal]:
    return st.integers(1, most).map(lambda number: Decimal(number).scaleb(-digits))


AMOUNTS = st.sampled_from(["0.000001", "0.0000005", "0.0000011", "1e-8", "0.001", "1", "123456789.123"]).map(Decimal)


@given(
    st.integers(0, 7).flatmap(
        lambda digits: st.tuples(
            st.dictionaries(exact_multiples(digits, 3000), AMOUNTS, max_size=40),
            st.dictionaries(exact_multiples(digits, 3000), AMOUNTS, max_size=40),
        )
    ),
    st.integers(1, 50),
    st.sampled_from(ROUNDINGS).map(Decimal),
)
def test_views_are_those_of_the_contracts_algorithm(
    sides: tuple[dict[Decimal, Decimal], dict[Decimal, Decimal]], limit: int, rounding: Decimal
) -> None:
    # Bids below the asks.
    highest = max(sides[0], default=Decimal(0))
    bids, asks = sides[0], {price + highest: amount for price, amount in sides[1].items()}
    view = aggregate(book_of(bids.items(), asks.items()), limit, rounding)
    with localcontext(prec=60):
        expected_bids = by_the_contract(bids.items(), rounding, is_ask=False)[:limit]
        expected_asks = by_the_contract(asks.items(), rounding, is_ask=True)[:limit]
    assert view.bids == expected_bids
    assert view.asks == expected_asks[::-1]
    assert (view.raw_bids_count, view.raw_asks_count) == (len(bids), len(asks))


BIDS: Written = [("50000.9", "1"), ("50000.1", "2"), ("50000", "3"), ("49999.9", "4"), ("49998", "5")]
ASKS: Written = [("50001", "10"), ("50001.1", "6"), ("50002", "4"), ("50002.7", "10")]


def test_bids_round_down_asks_up_and_exact_multiples_stay() -> None:
    view = aggregate(book_of(BIDS, ASKS), 20, Decimal(1))
    assert view.bids == [(50000, 6, 6), (49999, 4, 10), (49998, 5, 15)]
    # The best ask is last, and each has what it takes to get there.
    assert view.asks == [(50003, 10, 30), (50002, 10, 20), (50001, 10, 10)]


def test_sums_are_exact_until_they_are_floats() -> None:
    tenths = [(f"9.{number}", "0.1") for number in range(10)]
    ((_, amount, cumulative),) = aggregate(book_of(tenths), 5, Decimal(1)).bids
    assert (amount, cumulative) == (1.0, 1.0)
    assert sum([0.1] * 10) != 1.0


def test_dust_is_left_out_and_takes_no_place() -> None:
    view = aggregate(book_of([("9", "0.000001"), ("8", "1"), ("7", "0.0000011")]), 2, Decimal(1))
    assert view.bids == [(8, 1, 1), (7, 0.0000011, 1.0000011)]


def test_nothing_is_bid_at_a_price_of_zero() -> None:
    book = book_of([("0.0000123", "5"), ("0.0000119", "7")], [("0.0000124", "1")])
    assert aggregate(book, 5, Decimal("0.0001")).bids == []
    assert aggregate(book, 5, Decimal("0.0001")).asks == [(0.0001, 1, 1)]
    assert aggregate(book, 5, Decimal("0.00001")).bids == [(0.00001, 12, 12)]


def test_a_rounding_finer_than_the_prices_leaves_them() -> None:
    book = book_of([("9.5", "1")], [("10", "1")])
    view = aggregate(book, 5, Decimal("0.0001"))
    assert (view.bids, view.asks) == ([(9.5, 1, 1)], [(10, 1, 1)])


def test_a_rounding_between_the_prices_puts_each_into_its_own_level() -> None:
    book = book_of([(f"10.{tenth}", "1") for tenth in range(5)])
    assert aggregate(book, 5, Decimal("0.15")).bids == [(10.35, 1, 1), (10.2, 2, 3), (10.05, 1, 4), (9.9, 1, 5)]


def test_an_empty_side_is_empty() -> None:
    view = aggregate(book_of([("9.5", "1")]), 5, Decimal(1))
    assert (view.bids, view.asks, view.raw_asks_count) == ([(9, 1, 1)], [], 0)


@pytest.mark.parametrize(("limit", "lacks_levels", "lacks_raw"), [(5, False, False), (6, True, True), (20, True, True)])
def test_depth_information_says_what_is_lacking(limit: int, lacks_levels: bool, lacks_raw: bool) -> None:
    # Fifty levels of each side in five steps of ten.
    book = book_of([(str(100 + n), "1") for n in range(50)], [(str(151 + n), "1") for n in range(50)])
    info = aggregate(book, limit, Decimal(10)).depth_info(limit)
    assert (info.insufficient_levels, info.is_market_depth_limited) == (lacks_levels, lacks_levels)
    assert info.has_insufficient_raw_data is lacks_raw
    assert (info.actual_levels, info.requested_levels, info.min_required_raw_data) == (5, limit, limit * 10)
    assert (info.raw_bids_count, info.raw_asks_count) == (50, 50)
    assert info.message == (f"Only 5 of {limit} levels are known at this rounding" if lacks_levels else "")
