"""Recorded streams rebuild books that never cross and agree with the best levels recorded beside them."""

import random
from bisect import bisect_left
from collections import defaultdict
from pathlib import Path

import pytest

from marketdata.books.book import OrderBook
from marketdata.books.sync import BookSync
from marketdata.types import BookTicker, DepthDelta, DepthSnapshot
from tests.marketdata.books import best, best_of, last_until, one, recorded_2021, recorded_lines

HOLES = 15


@pytest.mark.slow
@pytest.mark.parametrize(
    ("days", "compared", "next_day_deltas"),
    [(("20230404", "20230405"), 4322, 11_788), (("20240718", "20240719"), 3284, 5696)],
)
def test_best_levels_are_those_recorded(
    recordings: Path, days: tuple[str, str], compared: int, next_day_deltas: int
) -> None:
    """Those of the newest update up to the book's, at every change, over midnight too. ``compared`` counts what the
    recordings' own check did: changes at which the best levels received last were not ahead of the book."""
    paths = [recordings / f"wsraw_btcusdt_{day}.txt.gz" for day in days]
    tickers = sorted((id, event) for event, id in recorded_lines(*paths) if isinstance(event, bytes))
    sync = BookSync("BTCUSDT")
    changes, not_ahead = [0, 0], [0, 0]
    for day, path in enumerate(paths):
        received_id = 0
        for event, id in recorded_lines(path):
            if isinstance(event, bytes):
                received_id = id
            elif sync.take_snapshot(event) if isinstance(event, DepthSnapshot) else sync.take_delta(event):
                newest = bisect_left(tickers, (sync.book.last_update_id + 1,)) - 1
                assert best(sync.book) == best_of(one(tickers[newest][1]))
                changes[day] += 1
                not_ahead[day] += received_id <= sync.book.last_update_id
    assert sync.is_live
    assert sync.gaps == 0
    assert (not_ahead[0], changes[1]) == (compared, next_day_deltas)


def test_books_of_four_symbols_agree_with_their_best_levels(recordings: Path) -> None:
    syncs: dict[str, BookSync] = {}
    tickers: dict[str, list[BookTicker]] = defaultdict(list)
    compared: dict[str, int] = defaultdict(int)
    events = recorded_2021(recordings)
    for _, event in events:
        if isinstance(event, BookTicker):
            tickers[event.symbol].append(event)
    for _, event in events:
        sync = syncs.setdefault(event.symbol, BookSync(event.symbol))
        if isinstance(event, DepthSnapshot):
            assert sync.take_snapshot(event)
        elif isinstance(event, DepthDelta) and sync.take_delta(event):
            ticker = last_until(tickers[event.symbol], event.final_id)
            assert ticker is None or best(sync.book) == best_of(ticker)
            compared[event.symbol] += ticker is not None
    assert all(sync.is_live and sync.gaps == 0 for sync in syncs.values())
    assert compared == {"SUSHIUSDT": 252, "AKROUSDT": 182, "KEEPUSDT": 130, "CTKUSDT": 179}


def test_every_hole_in_a_recording_is_noticed_at_once(recordings: Path) -> None:
    chance = random.Random(6)
    sync, venue = BookSync("BTCUSDT"), OrderBook("BTCUSDT")
    holes = 0
    has_missed = False
    for event, _ in recorded_lines(recordings / "wsraw_btcusdt_20230404.txt.gz"):
        if isinstance(event, DepthSnapshot):
            venue.load(event)
            sync.take_snapshot(event)
        elif isinstance(event, DepthDelta) and venue.last_update_id:
            venue.apply(event)
            if chance.random() < 0.01:
                has_missed = True
                continue
            sync.take_delta(event)
            assert sync.is_live is not has_missed
            if has_missed:
                holes += 1
                has_missed = False
                assert sync.take_snapshot(venue.snapshot(venue.event_ms))
                assert sync.book.levels() == venue.levels()
            assert best(sync.book) == best(venue)
        if holes == HOLES:
            break
    assert sync.gaps == holes == HOLES
