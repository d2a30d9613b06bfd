"""The order book: absolute levels in, the same levels out, exact and in order."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.books.book import OrderBook
from marketdata.errors import BookOutOfSync, LiquiError
from marketdata.types import Level
from tests.marketdata.books import PlainBook, book_of, delta, levels, snapshot

# Few prices, so that they recur; of any fineness, so that scales have to grow.
QUANTITIES = st.sampled_from(["0", "0.000", "1", "0.5", "3.25", "1e-8", "12345678901234567890.123456789"]).map(Decimal)
BIDS = st.tuples(st.sampled_from(["5", "9", "9.5", "9.9", "9.99", "9.9999999", "1E-7"]).map(Decimal), QUANTITIES)
ASKS = st.tuples(st.sampled_from(["10", "10.1", "10.25", "1E+3", "10.0000000001"]).map(Decimal), QUANTITIES)
Sides = tuple[list[Level], list[Level]]
SIDES = st.tuples(st.lists(BIDS, max_size=6), st.lists(ASKS, max_size=6))


@given(SIDES, st.lists(SIDES, max_size=8))
def test_any_changes_leave_what_a_plain_book_has(beginning: Sides, changes: list[Sides]) -> None:
    book, plain = OrderBook("BTCUSDT"), PlainBook()
    bids, asks = (dict(side).items() for side in beginning)  # a snapshot names each price once
    book.load(snapshot(1, bids, asks))
    plain.change(bids, asks)
    for id, (changed_bids, changed_asks) in enumerate(changes, 2):
        book.apply(delta(id, id, id - 1, changed_bids, changed_asks))
        plain.change(changed_bids, changed_asks)
        bids_left, asks_left = plain.levels()
        assert book.levels() == (bids_left, asks_left)
        assert book.levels(2) == (bids_left[:2], asks_left[:2])
        assert (book.best_bid, book.best_ask) == (next(iter(bids_left), None), next(iter(asks_left), None))
        assert not book.is_crossed


@given(SIDES)
def test_a_snapshot_of_a_book_makes_the_same_book(sides: Sides) -> None:
    book = OrderBook("BTCUSDT")
    bids, asks = (dict(side).items() for side in sides)
    book.load(snapshot(7, bids, asks))
    taken = book.snapshot(5)
    assert (taken.venue, taken.symbol, taken.last_update_id, taken.event_ms) == ("binance", "BTCUSDT", 7, 5)
    again = OrderBook("BTCUSDT")
    again.load(taken)
    assert again.levels() == book.levels()


def test_loading_forgets_what_was_there() -> None:
    book = book_of([("9.99", "1")], [("10", "1")])
    book.load(snapshot(8, [("12", "2")], [("13", "1")]))
    assert book.levels() == (levels([("12", "2")]), levels([("13", "1")]))
    assert book.last_update_id == 8


def test_removing_a_level_that_was_never_held_changes_nothing() -> None:
    book = book_of([("9", "1")], [("10", "1")])
    book.apply(delta(2, 3, 1, [("8", "0")], [("11", "0.000")]))
    assert book.levels() == (levels([("9", "1")]), levels([("10", "1")]))
    assert book.last_update_id == 3


def test_the_first_delta_may_span_the_snapshot_and_each_later_one_must_follow() -> None:
    book = OrderBook("BTCUSDT")
    book.load(snapshot(157, [("9", "1")], [("10", "1")]))
    for apart in (delta(150, 156, 149), delta(158, 160, 156)):
        with pytest.raises(BookOutOfSync):
            book.apply(apart)
    book.apply(delta(150, 160, 149, [("9", "2")]))
    book.apply(delta(163, 170, 160, [("9", "3")]))
    with pytest.raises(BookOutOfSync, match=r"BTCUSDT: .* expected 170, received 175"):
        book.apply(delta(165, 180, 175, [("9", "4")]))
    # Spans, but is not the first.
    with pytest.raises(LiquiError):
        book.apply(delta(165, 180, 164, [("9", "4")]))
    assert book.best_bid == (9, 3)
    assert book.last_update_id == 170


def test_a_crossed_book_is_out_of_sync() -> None:
    book = book_of([("9.5", "1")], [("10", "1")])
    with pytest.raises(BookOutOfSync, match=r"expected bids below 10, received 10\.0"):
        book.apply(delta(2, 2, 1, [("10.00", "1")]))
    with pytest.raises(BookOutOfSync):
        book_of([("10.01", "1")], [("10", "1")])
    assert not book_of([("9.999999", "1")], [("10", "1")]).is_crossed
    assert not book_of([("9", "1")]).is_crossed


def test_a_copy_stays_as_it_was() -> None:
    book = book_of([("9.5", "1")], [("10", "1.25")])
    copy = book.copy()
    book.apply(delta(2, 2, 1, [("9.55", "1")], [("10", "0")]))
    assert copy.levels() == (levels([("9.5", "1")]), levels([("10", "1.25")]))
    copy.apply(delta(2, 2, 1, [("9.5", "0.0001")]))
    assert copy.best_bid == (Decimal("9.5"), Decimal("0.0001"))
    assert (copy.symbol, copy.venue, copy.last_update_id) == ("BTCUSDT", "binance", 2)
