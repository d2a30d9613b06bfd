"""The tape: every trade once, in order, and none missing unless given up."""

from collections.abc import Sequence
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from marketdata.trades import TradeTape
from marketdata.types import Side, Trade
from tests.marketdata.trades import ids, trade, trades


def test_history_is_joined_to_what_came_meanwhile() -> None:
    tape = TradeTape()
    assert tape.take(trades(4, 5)) == []
    assert tape.missing is None
    assert ids(tape.seed(trades(1, 2, 3, 4))) == [1, 2, 3, 4, 5]
    assert ids(tape.take(trades(6, 5, 7))) == [6, 7]
    assert ids(tape.snapshot()) == [1, 2, 3, 4, 5, 6, 7]
    assert ids(tape.newest(3)) == [7, 6, 5]


def test_trades_beyond_a_hole_wait_until_it_is_filled() -> None:
    tape = TradeTape()
    tape.seed(trades(1))
    assert tape.take(trades(4, 8)) == []
    assert tape.missing == (2, 3)
    assert ids(tape.take(trades(2))) == [2]
    assert ids(tape.fill(trades(3, 4))) == [3, 4]
    assert tape.missing == (5, 7)
    assert ids(tape.fill(trades(5, 6, 7))) == [5, 6, 7, 8]
    assert tape.missing is None
    assert tape.skipped == 0


def test_what_the_venues_answer_lacks_is_given_up_as_far_as_the_answer_goes() -> None:
    tape = TradeTape()
    tape.seed(trades(1))
    tape.take(trades(10))
    assert ids(tape.fill(trades(3, 5))) == [3, 5]
    assert tape.skipped == 2
    assert tape.missing == (6, 9)
    assert tape.fill([]) == []
    assert ids(tape.give_up()) == [10]
    assert tape.skipped == 6
    assert tape.give_up() == []


def test_a_tape_filled_from_another_accepts_the_holes_that_that_one_has() -> None:
    one, other = TradeTape(), TradeTape()
    for tape in (one, other):
        tape.seed(trades(1, 2))
        tape.take(trades(5, 6))
    one.give_up()
    assert ids(other.fill(one.snapshot())) == [5, 6]
    assert other.missing is None


def test_without_history_the_first_trade_is_the_first() -> None:
    tape = TradeTape()
    assert tape.seed([]) == []
    assert ids(tape.take(trades(7, 8))) == [7, 8]
    waiting = TradeTape()
    waiting.take(trades(7, 9))
    assert ids(waiting.give_up()) == [7]
    assert waiting.missing == (8, 8)


def test_history_that_comes_late_is_kept_but_not_handed_on() -> None:
    tape = TradeTape(limit=4)
    tape.take(trades(7, 8))
    tape.give_up()
    assert tape.seed(trades(3, 4, 5, 6, 7)) == []
    assert ids(tape.snapshot()) == [5, 6, 7, 8]
    apart = TradeTape()
    apart.take(trades(7))
    apart.give_up()
    apart.seed(trades(4, 5))
    assert ids(apart.snapshot()) == [7]


def test_what_waits_is_bounded() -> None:
    tape = TradeTape(max_waiting=3)
    tape.seed(trades(1))
    assert tape.take(trades(3, 5, 6)) == []
    assert ids(tape.take(trades(7))) == [3]
    assert (tape.missing, tape.skipped) == ((4, 4), 1)
    unseeded = TradeTape(max_waiting=2)
    assert ids(unseeded.take(trades(1, 2, 3))) == [1, 2, 3]


def test_only_the_newest_are_kept() -> None:
    tape = TradeTape(limit=2)
    assert ids(tape.seed(trades(1, 2, 3))) == [1, 2, 3]
    assert ids(tape.snapshot()) == [2, 3]
    assert ids(tape.newest(100)) == [3, 2]


def test_a_venue_that_counts_anew_is_followed() -> None:
    tape = TradeTape()
    tape.seed(trades(1000, 1001))
    tape.take(trades(1005))
    assert ids(tape.take([trade(3, at=10_000), trade(4, at=10_000)])) == [3, 4]
    assert ids(tape.snapshot()) == [3, 4]
    assert tape.restarts == 1
    assert tape.missing is None
    # An old one that comes again is not a new beginning.
    assert tape.take(trades(2, 3)) == []
    assert tape.restarts == 1


BATCHES = st.lists(st.lists(st.integers(1, 40), max_size=12), max_size=30)


@given(BATCHES, st.data())
def test_ids_grow_none_comes_twice_and_none_is_missing_unless_given_up(
    batches: Sequence[Sequence[int]], data: st.DataObject
) -> None:
    tape = TradeTape(limit=10, max_waiting=data.draw(st.integers(1, 20)))
    handed_on: list[int] = []
    for batch in batches:
        how = data.draw(st.sampled_from([tape.take, tape.take, tape.take, tape.fill, tape.seed, None]))
        handed_on += ids(how(trades(*batch)) if how else tape.give_up())
        assert len(tape.waiting) <= tape.max_waiting
        if hole := tape.missing:
            assert hole[0] == tape.next_id
            assert not any(hole[0] <= id <= hole[1] for id in tape.waiting)
    assert handed_on == sorted(set(handed_on))
    if handed_on:
        assert handed_on[-1] - handed_on[0] + 1 - len(handed_on) <= tape.skipped
        assert ids(tape.snapshot())[-min(10, len(handed_on)) :] == handed_on[-10:]
    assert ids(tape.snapshot()) == sorted(set(ids(tape.snapshot())))


@given(st.permutations(range(1, 30)), st.integers(0, 28), st.lists(st.integers(1, 29), max_size=10))
def test_whatever_the_order_all_are_handed_on_once_the_holes_are_filled(
    order: list[int], received: int, again: list[int]
) -> None:
    """Losses are those that never come; the venue has them all."""
    tape = TradeTape()
    handed_on = ids(tape.seed(trades(0)))
    for id in [*order[:received], *again]:
        handed_on += ids(tape.take(trades(id)))
    while hole := tape.missing:
        handed_on += ids(tape.fill(trades(*range(hole[0], hole[1] + 1))))
    assert handed_on == list(range(max([*order[:received], *again, 0]) + 1))
    assert tape.skipped == 0


def test_a_trade_keeps_its_figures() -> None:
    sold = trade(5, "28145.10", "0.002", Side.SELL)
    tape = TradeTape()
    assert tape.seed([sold]) == [sold]
    assert isinstance(tape.newest(1)[0], Trade)
    assert tape.newest(1)[0].price == Decimal("28145.10")
