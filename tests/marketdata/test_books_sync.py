"""Keeping a book in step: against a model of a venue, with deltas lost, repeated, late and in any order."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketdata.books.sync import BookSync
from marketdata.types import DepthDelta, DepthSnapshot, Level
from tests.marketdata.books import PlainBook, delta, levels, snapshot

BEGINNING = 100


@dataclass
class Venue:
    """A venue's book update by update, with ids that are skipped here and there, as those of other symbols are."""

    deltas: list[DepthDelta] = field(default_factory=list)
    states: dict[int, tuple[list[Level], list[Level]]] = field(default_factory=dict)

    def snapshot(self, id: int) -> DepthSnapshot:
        bids, asks = self.states[id]
        return snapshot(id, bids, asks)


@st.composite
def venues(draw: st.DrawFn) -> Venue:
    venue, book = Venue(), PlainBook()
    previous = id = BEGINNING
    venue.states[id] = book.levels()
    for steps in draw(st.lists(st.lists(st.integers(1, 3), min_size=1, max_size=4), min_size=1, max_size=12)):
        first, changes = id + steps[0], ([], [])
        for step in steps:
            id += step
            is_ask = draw(st.booleans())
            change = (str(draw(st.integers(1, 5)) + 5 * is_ask), str(draw(st.integers(0, 2))))
            changes[is_ask].append(change)
            book.change(*(levels([change]) if side == is_ask else [] for side in (False, True)))
            venue.states[id] = book.levels()
        venue.deltas.append(delta(first, id, previous, *changes))
        previous = id
    return venue


def agrees(sync: BookSync, venue: Venue) -> bool:
    """A live book is the venue's as of its update id."""
    return not sync.is_live or sync.book.levels() == venue.states[sync.book.last_update_id]


@given(st.data(), venues())
def test_a_live_book_is_the_venues_whatever_is_lost_repeated_or_late(data: st.DataObject, venue: Venue) -> None:
    sync = BookSync("BTCUSDT", max_buffered=data.draw(st.integers(1, 5)))
    received = data.draw(st.lists(st.sampled_from(venue.deltas) | st.sampled_from(sorted(venue.states)), max_size=30))
    for each in received:
        if isinstance(each, DepthDelta):
            was_live, was_at = sync.is_live, sync.book.last_update_id
            assert sync.take_delta(each) == (was_live and sync.is_live and sync.book.last_update_id != was_at)
        else:
            assert sync.take_snapshot(venue.snapshot(each)) == sync.is_live
        assert sync.needs_snapshot is not sync.is_live
        assert bool(sync.reason) is not sync.is_live
        assert agrees(sync, venue)


@given(st.data(), venues())
def test_a_lost_delta_is_noticed_with_the_next_one(data: st.DataObject, venue: Venue) -> None:
    sync = BookSync("BTCUSDT")
    sync.take_snapshot(venue.snapshot(BEGINNING))
    lost = data.draw(st.integers(0, len(venue.deltas) - 1))
    for number, each in enumerate(venue.deltas):
        if number != lost:
            sync.take_delta(each)
        assert sync.is_live is (number <= lost)
        assert agrees(sync, venue)
    assert sync.gaps == (lost < len(venue.deltas) - 1)


@given(st.data(), venues())
def test_every_snapshot_joins_a_stream_that_began_before_it(data: st.DataObject, venue: Venue) -> None:
    sync = BookSync("BTCUSDT")
    taken = data.draw(st.sampled_from(sorted(venue.states)))
    received = data.draw(st.integers(0, len(venue.deltas)))
    for each in venue.deltas[:received]:
        assert not sync.take_delta(each)
    assert sync.take_snapshot(venue.snapshot(taken))
    for each in venue.deltas[received:]:
        sync.take_delta(each)
    last = venue.deltas[-1]
    assert sync.is_live
    assert sync.book.last_update_id == max(last.final_id, taken)
    assert agrees(sync, venue)
    assert sync.gaps == 0


@given(venues())
def test_a_second_book_follows_the_first_from_any_of_its_snapshots(venue: Venue) -> None:
    first, second = BookSync("BTCUSDT"), BookSync("BTCUSDT")
    first.take_snapshot(venue.snapshot(BEGINNING))
    for number, each in enumerate(venue.deltas):
        assert first.take_delta(each)
        second.take_delta(each)
        if number == len(venue.deltas) // 2:
            assert second.take_snapshot(first.book.snapshot(1))
        assert not second.is_live or second.book.levels() == first.book.levels()
    assert second.is_live


def live(id: int = 10) -> BookSync:
    sync = BookSync("BTCUSDT")
    assert sync.take_snapshot(snapshot(id, [("9", "1")], [("10", "1")]))
    return sync


def test_deltas_that_a_snapshot_holds_are_dropped_and_the_one_that_spans_it_is_applied() -> None:
    sync = BookSync("BTCUSDT")
    assert sync.reason == "no snapshot has come yet"
    for each in (delta(1, 5, 0, [("1", "1")]), delta(7, 12, 5, [("2", "2")]), delta(13, 14, 12, [("3", "3")])):
        assert not sync.take_delta(each)
    assert sync.take_snapshot(snapshot(10, [("9", "1")], [("10", "1")]))
    assert sync.book.levels()[0] == levels([("9", "1"), ("3", "3"), ("2", "2")])
    assert sync.book.last_update_id == 14


def test_a_snapshot_older_than_the_buffered_deltas_is_of_no_use_and_the_next_one_is() -> None:
    sync = BookSync("BTCUSDT")
    sync.take_delta(delta(21, 25, 20))
    assert not sync.take_snapshot(snapshot(10, [("9", "1")], [("10", "1")]))
    assert sync.needs_snapshot
    assert "expected 10, received 20" in sync.reason
    assert sync.take_snapshot(snapshot(22, [("9", "1")], [("10", "1")]))
    assert sync.book.last_update_id == 25


def test_the_oldest_are_dropped_from_a_full_buffer_and_snapshots_must_be_newer() -> None:
    sync = BookSync("BTCUSDT", max_buffered=2)
    for id in range(1, 6):
        sync.take_delta(delta(id, id, id - 1, [("1", str(id))]))
    assert not sync.take_snapshot(snapshot(2))
    assert sync.take_snapshot(snapshot(3))
    assert sync.book.best_bid == (1, 5)


def test_after_a_gap_the_deltas_behind_it_are_kept_for_the_next_snapshot() -> None:
    sync = live()
    assert not sync.take_delta(delta(16, 20, 15, [("8", "1")]))
    assert (sync.is_live, sync.gaps) == (False, 1)
    assert "expected 10, received 15" in sync.reason
    assert not sync.take_delta(delta(21, 22, 20, [("7", "1")]))
    assert sync.take_snapshot(snapshot(18, [("9", "1")], [("10", "1")]))
    assert sync.book.levels()[0] == levels([("9", "1"), ("8", "1"), ("7", "1")])
    assert sync.reason == ""


@pytest.mark.parametrize("again", [delta(6, 10, 5), delta(1, 2, 0), delta(11, 12, 10), delta(13, 14, 12)])
def test_deltas_that_come_again_change_nothing(again: DepthDelta) -> None:
    sync = live()
    sync.take_delta(delta(11, 12, 10))
    sync.take_delta(delta(13, 14, 12))
    assert sync.book.event_ms == 14
    assert not sync.take_delta(again)
    assert (sync.is_live, sync.gaps) == (True, 0)


def test_deltas_that_a_snapshot_was_ahead_of_are_no_gap_however_it_was_dated() -> None:
    sync = BookSync("BTCUSDT")
    sync.take_snapshot(snapshot(10, [("9", "1")], [("10", "1")], at=1))
    assert not sync.take_delta(delta(5, 8, 4, [("8", "1")], at=2))
    assert sync.take_delta(delta(9, 11, 8, [("8", "1")], at=3))


def test_a_venue_that_counts_anew_is_noticed() -> None:
    sync = live(1000)
    sync.take_delta(delta(1001, 1002, 1000, at=50_000))
    assert not sync.take_delta(delta(3, 4, 2, at=60_000))
    assert (sync.is_live, sync.gaps) == (False, 1)
    assert sync.take_snapshot(snapshot(4, at=60_000))
    assert sync.take_delta(delta(5, 6, 4, at=60_001))


def test_a_live_book_takes_newer_snapshots_only() -> None:
    sync = live()
    for id in (9, 10):
        assert sync.take_snapshot(snapshot(id, [("1", "1")]))
        assert sync.book.best_bid == (9, 1)
    assert sync.take_snapshot(snapshot(11, [("8", "1")]))
    assert sync.book.best_bid == (8, 1)
    assert sync.take_delta(delta(9, 12, 8, [("7", "1")]))


def test_a_lost_connection_ends_it_and_deltas_of_before_are_forgotten() -> None:
    sync = live()
    sync.lost("the connection is gone")
    assert (sync.is_live, sync.reason, sync.gaps) == (False, "the connection is gone", 0)
    sync.take_delta(delta(21, 25, 20))
    sync.lost("and again")
    sync.take_delta(delta(3, 4, 2))
    assert sync.take_snapshot(snapshot(4, [("5", "1")]))
    assert sync.book.best_bid == (5, 1)
    assert not sync.buffer


CROSSING: list[Callable[[BookSync], object]] = [
    lambda sync: sync.take_delta(delta(11, 12, 10, [("10", "1")])),
    lambda sync: sync.take_snapshot(snapshot(12, [("10", "1")], [("10", "1")])),
]


@pytest.mark.parametrize("crossing", CROSSING)
def test_a_crossed_book_is_not_live(crossing: Callable[[BookSync], object]) -> None:
    sync = live()
    assert not crossing(sync)
    assert not sync.is_live
    assert "expected bids below 10, received 10" in sync.reason
    assert sync.take_snapshot(snapshot(12, [("9.5", "1")], [("10", "1")]))
    assert not sync.book.is_crossed
